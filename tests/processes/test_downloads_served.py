"""Downloads by a real server: nothing of them stays on a disk, and they keep nobody waiting."""

import http.client
import signal
import socket
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.processes.servers import Server, eventually, serving

SECRET = "s3cret-that-no-disk-may-hold"
_CLIENTS = 6


def new_service(server: Server, token: str, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = server.post("/api/services", {"name": "Shop"} | fields, token).data
    return made


def path_with_secrets(server: Server, token: str) -> str:
    variables = {"KEY": {"value": SECRET, "secret": True}}
    service = new_service(
        server, token, type="kubernetes", configuration={"environment": variables}
    )
    return f"/api/services/download/kubernetes/{service['clusterId']}?format=yaml&secrets=include"


def files_with(text: str, *folders: Path) -> list[Path]:
    """The files that hold the text, or an archive, which would hide it."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            if text.encode() in content or content.startswith(b"PK"):
                found.append(path)
    return found


def test_nothing_stays_on_a_disk_whatever_happens(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    settings = {"RATE_LIMITS": "off", "LOG_LEVEL": "debug", "TMPDIR": str(temporary)}
    with serving(tmp_path / "server", **settings) as server:
        token = server.token()
        path = path_with_secrets(server, token)
        assert SECRET in server.get(path, token).body.decode()
        broken = path.replace("yaml", "tar")
        assert server.get(broken, token).status == 400
        with closing(socket.create_connection((server.host, server.port))) as impatient:
            request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
            impatient.sendall(request.encode())
        assert files_with(SECRET, tmp_path) == []
        served = _download_until_the_server_is_gone(server, token, path)
        eventually(lambda: len(served) > 40, "downloads are served")
        server.signal_group(signal.SIGKILL)
        server.wait_until_all_are_gone()
    assert files_with(SECRET, tmp_path) == []
    # The worker process of gunicorn tells that it is alive by a file there.
    assert [each for each in temporary.iterdir() if not each.name.startswith("wgunicorn-")] == []


def test_many_of_them_leave_the_threads_to_others(tmp_path: Path) -> None:
    settings = {"RATE_LIMITS": "off", "LOG_LEVEL": "warning", "WEB_THREADS": "2"}
    with serving(tmp_path, **settings) as server:
        token = server.token()
        path = path_with_secrets(server, token)
        served = _download_until_the_server_is_gone(server, token, path)
        eventually(lambda: len(served) > 10, "downloads are served")
        before = len(served)
        for _ in range(20):
            assert server.get("/api/services/active", token).status == 200
        # Without turns each list waits behind about five downloads; with them hardly for one.
        assert len(served) - before < 20 * 2
        server.process.terminate()
        assert server.process.wait(timeout=20) == 0
    assert set(served) == {200}


def _download_until_the_server_is_gone(server: Server, token: str, path: str) -> list[int]:
    """Begin to download in threads; the statuses of what was answered."""
    statuses: list[int] = []

    def download() -> None:
        with suppress(OSError, http.client.HTTPException):
            while True:
                statuses.append(server.get(path, token).status)

    for _ in range(_CLIENTS):
        threading.Thread(target=download, daemon=True).start()
    return statuses
