"""Starting gunicorn for `cms-services run`."""

import os
import shutil
import socket
import sys
import uuid
from typing import Any, NoReturn

import orjson
from gunicorn.util import write_nonblock

from cms_services.installation import InstallationError
from cms_services.settings import Settings

_REFUSALS: dict[int, tuple[str, str]] = {
    400: ("VALIDATION_ERROR", "This is not a valid HTTP request."),
    414: ("URI_TOO_LONG", "The address is too long; send the parameters by POST."),
    500: ("INTERNAL_ERROR", "Something went wrong on our side."),
}


def address_in_url(settings: Settings) -> str:
    """HOST and PORT as they stand in a URL: an IPv6 address in brackets."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def require_free_address(settings: Settings) -> None:
    """Raise InstallationError where HOST and PORT can't be listened on."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InstallationError(
            f"PORT: {settings.port} on {settings.host} can't be listened on "
            f"({error.strerror}); set another PORT or HOST."
        ) from error


def become_gunicorn(settings: Settings) -> NoReturn:
    """Replace this process by gunicorn, which serves the app and keeps the worker beside it."""
    metrics = settings.data_dir / "metrics"
    # Numbers of processes that are gone would be added to the new ones'.
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(mode=0o700)
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    arguments = [sys.executable, "-m", "gunicorn", "-c", "python:cms_services.gunicorn_conf"]
    os.execve(sys.executable, [*arguments, "cms_services:create_app()"], environment)  # noqa: S606


def refuse(connection: socket.socket, status: int, reason: str, message: str) -> None:
    """Answer in our envelope what gunicorn refuses before the application sees it.

    Stands in the place of gunicorn's own function, whose page is HTML. `message` quotes the
    request, so it is not repeated.
    """
    code, told = _REFUSALS.get(status, _REFUSALS[400] if status < 500 else _REFUSALS[500])
    error: dict[str, Any] = {"code": code, "message": told}
    if code == "VALIDATION_ERROR":
        error["details"] = {"request": [told]}
    body = orjson.dumps({"success": False, "error": error})
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-Request-ID: {uuid.uuid4().hex}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    write_nonblock(connection, head.encode("latin-1") + body)
