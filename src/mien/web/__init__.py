"""One page for everything: a studio for paintings, a door with a camera, and a look inside networks.

    from mien.web.app import create_app
    from mien.web.settings import ServeSettings

    app = create_app(ServeSettings(data=Path("serve")))

`settings` says where and with which limits, `app` puts the rooms together, `security` stands at the entrance
(`clients` says who asks, `rates` how often they may), `problems` turns errors into answers, `jobs` is the queue
(`records` what is kept of a job), `workshop` and `worker` are the two ends of the process that paints and looks;
`style`, `visualize`, `job_routes`, `door`, `faces` and `about_routes` hold the routes, `schemas` their shapes,
`observing` health and metrics, and `serving` runs it all. A room whose packages are not installed is closed; the others
are open.
"""
