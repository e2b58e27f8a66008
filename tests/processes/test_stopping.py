"""Ending the server: by a signal, and by the death of its first process."""

import http.client
import http.server
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.processes.servers import Reply, Server, eventually, serving


class SlowSite:
    """A site that answers only after it was told to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.set()
                site.may_answer.wait(20)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"


@contextmanager
def slow_site() -> Iterator[SlowSite]:
    site = SlowSite()
    threading.Thread(target=site.server.serve_forever, daemon=True).start()
    try:
        yield site
    finally:
        site.may_answer.set()
        site.server.shutdown()
        site.server.server_close()


class HalfSentRequest:
    """A request whose body is sent in two parts."""

    def __init__(self, server: Server, path: str, body: object, token: str) -> None:
        raw = json.dumps(body).encode()
        self._rest = raw[len(raw) // 2 :]
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
        )
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self._socket.sendall(head.encode() + raw[: len(raw) // 2])

    def finish(self) -> bytes:
        """Send the rest and return the first line of the answer."""
        with self._socket:
            self._socket.sendall(self._rest)
            return self._socket.makefile("rb").readline()


@contextmanager
def following(server: Server, path: str, token: str) -> Iterator[http.client.HTTPResponse]:
    """An answer that goes on, once it has begun."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    with closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        assert answer.status == 200
        yield answer


def ctrl_c(server: Server) -> None:
    """Signal every process at once, as a terminal does; the first is the last to notice."""
    server.process.send_signal(signal.SIGSTOP)
    server.signal_group(signal.SIGINT)
    time.sleep(0.3)
    server.process.send_signal(signal.SIGCONT)


@pytest.fixture
def slow_worker(tmp_path: Path) -> dict[str, str]:
    """Settings with which Python takes its time to begin the background worker."""
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys, time\ntime.sleep(3 * ('worker' in sys.orig_argv))\n"
    )
    return {"PYTHONPATH": str(folder)}


class TestASignal:
    @pytest.mark.parametrize("terminal", [False, True], ids=["SIGTERM", "Ctrl-C in a terminal"])
    def test_requests_in_flight_are_answered_and_then_every_process_ends(
        self, tmp_path: Path, terminal: bool
    ) -> None:
        with (
            slow_site() as site,
            serving(tmp_path, PROBE_ALLOWED_NETWORKS="127.0.0.0/8") as server,
            ThreadPoolExecutor() as pool,
        ):
            token = server.token()
            check = {"healthCheck": {"url": site.url, "timeout": "20s"}}
            fields = {"name": "Slow", "type": "api", "configuration": check}
            service = server.post("/api/services", fields, token).data
            server.wait_for_worker()
            path = f"/api/services/{service['id']}/health"
            probing = pool.submit(server.post, path, None, token)
            sending = HalfSentRequest(
                server, "/api/services", {"name": "Late", "type": "api"}, token
            )
            assert site.asked.wait(10)
            time.sleep(0.3)

            if terminal:
                ctrl_c(server)
            else:
                server.process.terminate()
            time.sleep(1)
            site.may_answer.set()
            assert sending.finish().startswith(b"HTTP/1.1 201")
            answer: Reply = probing.result(20)
            assert answer.data["status"] == "healthy"
            assert server.process.wait(timeout=15) == 0
            server.wait_until_all_are_gone(5)
            assert "worker stopped" in server.stdout
            assert "Traceback" not in server.stderr + server.stdout
        with sqlite3.connect(tmp_path / "data" / "cms-services.sqlite3") as database:
            names = {name for (name,) in database.execute("SELECT name FROM services")}
        assert names == {"Slow", "Late"}

    def test_a_log_that_is_followed_does_not_hold_it_up(self, tmp_path: Path) -> None:
        with serving(tmp_path) as server:
            token = server.token()
            service = server.post("/api/services", {"name": "S", "type": "api"}, token).data
            path = f"/api/services/{service['id']}/logs"
            with following(server, f"{path}/tail", token) as tail:
                entry = {"level": "info", "message": "hello"}
                server.post(path, {"entries": [entry]}, token)
                while not (line := tail.readline()).startswith(b"data: "):
                    assert line, "the tail has ended"
                server.process.terminate()
                assert tail.headers["X-Accel-Buffering"] == "no"
                assert b'"message":"hello"' in line
                assert b"data: " not in tail.read()
            assert server.process.wait(timeout=10) == 0

    def test_ctrl_c_while_the_worker_still_begins_leaves_no_traceback(
        self, tmp_path: Path, slow_worker: dict[str, str]
    ) -> None:
        with serving(tmp_path, **slow_worker) as server:
            assert "worker started" not in server.stdout
            ctrl_c(server)
            assert server.process.wait(timeout=15) == 0
            server.wait_until_all_are_gone(5)
            assert "Traceback" not in server.stderr + server.stdout


class TestTheDeathOfTheFirstProcess:
    @pytest.mark.parametrize("early", [True, False], ids=["while the worker begins", "later"])
    def test_nothing_goes_on_without_it(
        self, tmp_path: Path, slow_worker: dict[str, str], early: bool
    ) -> None:
        with serving(tmp_path, **(slow_worker if early else {})) as server:
            if early:
                assert "worker started" not in server.stdout
            else:
                server.wait_for_worker()
            server.process.kill()
            server.process.wait(timeout=5)
            server.wait_until_all_are_gone(20 if early else 10)
            with pytest.raises(ConnectionRefusedError):
                server.get("/healthz")


class TestTheWorkerBeside:
    def test_one_that_is_killed_is_started_again(self, tmp_path: Path) -> None:
        with serving(tmp_path) as server:
            server.wait_for_worker()
            os.kill(worker_of(server), signal.SIGKILL)
            eventually(
                lambda: server.stdout.count("worker started") == 2, "another worker has begun", 30
            )
            assert server.is_ready()
        assert "The background worker is gone" in server.stdout


def worker_of(server: Server) -> int:
    """The number of the worker's process."""
    command = ["pgrep", "-f", f"cms_services worker --beside {server.process.pid}"]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)
