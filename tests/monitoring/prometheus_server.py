"""A real Prometheus, and a target for it."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.databases import need_server
from tests.local_servers import listening

_READY_SECONDS = 20.0


def need_program(name: str) -> str:
    """The path of a program. Skips without it, or fails where all are required."""
    found = shutil.which(name)
    if found is None:
        need_server(f"{name} is not installed")
    return found


def answering(answer: Callable[[str], tuple[int, bytes]]) -> AbstractContextManager[str]:
    """A server that answers each path with a status and a body, by its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self.rfile.read(length)
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            # Whoever asked may have heard enough.
            with suppress(ConnectionError):
                super().handle()

    return listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler))


@contextmanager
def prometheus(folder: Path, port: int, configuration: dict[str, Any]) -> Iterator[Path]:
    """A running Prometheus, by the file of its configuration (JSON, which is YAML too)."""
    program = need_program("prometheus")
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(configuration))
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output,
            stderr=output,
            env={"GOMAXPROCS": "1"},
        )
    try:
        _wait_until_ready(process, port, log)
        yield file
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(log.read_text()[-3000:])


def eventually(holds: Callable[[], bool], seconds: float = 25.0) -> None:
    """Wait until something holds, and fail where it does not in that time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.2)
