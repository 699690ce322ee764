"""Does a living person stand before the camera, or a picture of one?

`passive` looks at single frames with a small network, `session` asks for movements and judges how the face follows.
Neither is certified; docs/door.md says what they keep out, and what not.
"""
