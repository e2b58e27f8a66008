"""Starting gunicorn for `cms-services run`."""

import os
import shutil
import socket
import sys
from typing import NoReturn

from cms_services.installation import InstallationError
from cms_services.settings import Settings


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
