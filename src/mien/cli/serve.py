"""`mien serve`: the page."""

from __future__ import annotations

import logging
import os
import secrets
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from mien.cli.faces_house import default_gallery
from mien.errors import MissingExtra, OptionError

if TYPE_CHECKING:
    from mien.web.settings import ServeSettings

_SERVE = ("uvicorn", "fastapi", "starlette", "pydantic", "prometheus_client", "multipart", "python_multipart")


@click.command(epilog="Example: mien serve --open")
@click.option("--host", default="127.0.0.1", help="the address to listen on; another than this needs TLS [127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), default=8808, help="0: any that is free [8808]")
@click.option("--name", "names", multiple=True, help="a name by which others call this machine; may be repeated")
@click.option("--data", metavar="FOLDER", help="where the jobs are kept [in your data folder]")
@click.option("--keep", "keep_hours", type=float, default=24.0, metavar="HOURS", help="how long jobs are kept [24]")
@click.option("--gallery", metavar="URL", help="the door's gallery [$MIEN_GALLERY, or one in your data folder]")
@click.option("--encoder", metavar="NAME", default="sface", help="an encoder, or the record of your own [sface]")
@click.option("--calibration", metavar="FILE", help="thresholds measured by `mien faces calibrate` [shipped]")
@click.option("--steps", type=click.IntRange(0, 5), default=2, help="movements that the door asks for [2]")
@click.option(
    "--liveness", metavar="FILE", help="the record of your own liveness network; none: movements alone [shipped]"
)
@click.option("--model", "models", multiple=True, metavar="NAME=PATH", help="a network to look into; may be repeated")
@click.option("--token-file", metavar="FILE", help="a file with the administrator's token [a new one at each start]")
@click.option("--cert", metavar="FILE", help="a certificate (PEM), for https")
@click.option("--key", metavar="FILE", help="the certificate's key (PEM)")
@click.option("--insecure", is_flag=True, help="other machines may connect without TLS: the way can be read")
@click.option("--open", "open_", is_flag=True, help="open the page in a browser")
@click.option("--quiet", is_flag=True, help="no log of requests")
def serve(open_: bool, quiet: bool, **values: Any) -> None:
    """Serve the page: the Studio paints, the Door recognises people, the Explorer looks into networks.

    Only this machine can connect, unless you say otherwise. The administrator's address holds a token; keep it to
    yourself. Ctrl-C ends it.
    """
    # Before any room loads, as `mien` itself has it; the worker inherits it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from mien.web.serving import serve_until_stopped
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _SERVE:
            raise MissingExtra("Serving the page", "serve") from error
        raise
    settings = _settings(values)

    def ready(address: str) -> None:
        click.echo(f"The page:          {address}/")
        click.echo(f"The administrator: {address}/door/admin#token={quote(settings.token, safe='')}")
        click.echo("Ctrl-C ends it.", err=True)
        sys.stdout.flush()
        if open_:
            click.launch(f"{address}/")

    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logging.getLogger("mien.web").setLevel(logging.WARNING if quiet else logging.INFO)
    serve_until_stopped(settings, ready)
    click.echo("Stopped.", err=True)


def _settings(values: dict[str, Any]) -> ServeSettings:
    from mien.web.settings import ServeSettings

    places = {name: None if values[name] is None else Path(values[name]) for name in ("cert", "key")}
    token = secrets.token_urlsafe(32) if values["token_file"] is None else _token(Path(values["token_file"]))
    settings = ServeSettings(
        data=Path(values["data"]) if values["data"] else Path(default_gallery()).parent / "serve",
        host=values["host"],
        port=values["port"],
        gallery=values["gallery"] or default_gallery(),
        encoder=values["encoder"],
        calibration=values["calibration"],
        certificate=places["cert"],
        key=places["key"],
        insecure=values["insecure"],
        names=values["names"],
        steps=values["steps"],
        models=tuple(_model(text) for text in values["models"]),
        keep_hours=values["keep_hours"],
        token=token,
        liveness={None: "liveness", "none": None}.get(values["liveness"], values["liveness"]),
    )
    if settings.certificate is not None and settings.key is not None:
        _check_certificate(settings.certificate, settings.key)
    return settings


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"Expected a file with a token, but “{path}” cannot be read ({error}).") from error


def _model(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and Path(path).is_dir()):
        raise OptionError(f"Expected --model NAME=PATH with the folder of a checkpoint, got {text!r}.")
    return name, Path(path)


def _check_certificate(certificate: Path, key: Path) -> None:
    """Refuse now, and in one sentence, what would fail while the server starts."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise OptionError(
            f"Expected a certificate and its key (PEM), but “{certificate}” and “{key}” are none ({error})."
        ) from error


if __name__ == "__main__":
    serve()
