"""Starting gunicorn for `cms-services run`."""

import ctypes
import hashlib
import logging
import os
import resource
import shutil
import socket
import struct
import sys
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import orjson
import structlog
from gunicorn.systemd import listen_fds
from gunicorn.util import write_nonblock

from cms_services.installation import InstallationError
from cms_services.settings import Settings
from cms_services.web.headers import CAREFUL_HEADERS, CONTENT_POLICY

log = structlog.get_logger()

_MOST_OPEN_FILES = 65_536
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder below it is made anew, and ours alone

_SO_ATTACH_FILTER = 26
# Classic BPF for a TCP segment: let go what has SYN without ACK among its flags, keep the rest.
_DROP_SYN = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)

_REFUSALS: dict[int, tuple[str, str]] = {
    400: ("VALIDATION_ERROR", "This is not a valid HTTP request."),
    408: ("REQUEST_TIMEOUT", "The request took too long to arrive; send it again, faster."),
    413: ("PAYLOAD_TOO_LARGE", "The body is too large."),
    414: ("URI_TOO_LONG", "The address is too long; send the parameters by POST."),
    500: ("INTERNAL_ERROR", "Something went wrong on our side."),
}


def address_in_url(settings: Settings) -> str:
    """HOST and PORT as they stand in a URL: an IPv6 address in brackets."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def raise_open_files_limit() -> None:
    """Let this process, and those that it starts, open as many files as the system grants them.

    Each connection is one, and many systems grant 1,024 to whoever doesn't ask.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def ignore_new_connections(listeners: Iterable[Any]) -> None:
    """Let the system answer nobody who begins to connect; whoever has begun gets through.

    Connections that are still queued when a listening socket is closed are reset, requests and
    all. Whoever is ignored tries again a second later, and is refused then, or taken by whoever
    listens by that time. Does nothing where the system can't do it.
    """
    if sys.platform != "linux":
        return
    code = b"".join(struct.pack("HBBI", *each) for each in _DROP_SYN)
    memory = ctypes.create_string_buffer(code)
    program = struct.pack("HL", len(_DROP_SYN), ctypes.addressof(memory))
    for listener in listeners:
        if listener.sock.family in (socket.AF_INET, socket.AF_INET6):
            with suppress(OSError):
                listener.sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def require_free_address(settings: Settings) -> None:
    """Raise InstallationError where HOST and PORT can't be listened on.

    A socket that systemd has opened for us (docs/deploying/systemd.md) is not looked at.
    """
    if listen_fds(unset_environment=False):
        return
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
    metrics = _metrics_folder(settings)
    # What this process has logged may wait in memory to be sent.
    logging.shutdown()
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    arguments = [sys.executable, "-m", "gunicorn", "-c", "python:cms_services.gunicorn_conf"]
    os.execve(sys.executable, [*arguments, "cms_services:create_app()"], environment)  # noqa: S606 - our own


def _metrics_folder(settings: Settings) -> Path:
    """An empty folder for the numbers that processes share, in memory where the system has some.

    They are written by mapping files, and on a full disk that ends the process (SIGBUS).
    """
    name = hashlib.sha256(str(settings.data_dir.resolve()).encode()).hexdigest()[:16]
    for folder in (
        _SHARED_MEMORY / f"cms-services-{os.getuid()}-{name}",
        settings.data_dir / "metrics",
    ):
        # Numbers of processes that are gone would be added to the new ones'.
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            folder.mkdir(mode=0o700)
            return folder
    raise InstallationError(f"CMS_DATA_DIR: {settings.data_dir} can't be written to.")


def forget_metrics() -> None:
    """Remove the folder of _metrics_folder() from memory; the operator's own is left alone."""
    folder = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "."))
    if folder.parent == _SHARED_MEMORY and folder.name.startswith("cms-services-"):
        shutil.rmtree(folder, ignore_errors=True)


def refuse(connection: socket.socket, status: int, reason: str, message: str) -> None:
    """Answer in our envelope what gunicorn refuses before the application sees it.

    Stands in the place of gunicorn's own function, whose page is HTML. `message` quotes the
    request, so it is neither repeated nor logged.
    """
    code, told = _REFUSALS.get(status, _REFUSALS[400] if status < 500 else _REFUSALS[500])
    error: dict[str, Any] = {"code": code, "message": told}
    if code == "VALIDATION_ERROR":
        error["details"] = {"request": [told]}
    body = orjson.dumps({"success": False, "error": error})
    request_id = uuid.uuid4().hex
    log.info("request refused", request_id=request_id, status=status, address=_peer(connection))
    headers = CAREFUL_HEADERS | {
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Content-Security-Policy": CONTENT_POLICY,
        "Cache-Control": "no-store",
        "X-Request-ID": request_id,
    }
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {headers[name]}" for name in headers)]
    write_nonblock(connection, "\r\n".join([*lines, "", ""]).encode("latin-1") + body)


def _peer(connection: socket.socket) -> str | None:
    """The address of who is at the other end, where it is still there and has one."""
    try:
        address = connection.getpeername()
    except OSError:
        return None
    return str(address[0]) if isinstance(address, tuple) else None
