"""A server that is told to stop says so first, and then loses none of those who reached it."""

import http.client
import json
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from cms_services import create_app
from cms_services.extensions import db
from cms_services.installation import ensure_admin, prepare_database
from cms_services.settings import current_settings
from tests.processes.servers import EMAIL, PASSWORD, Server, eventually, free_port, serving
from tests.upgrading.load import load_on, names_of_all

DELAY = 3
SETTINGS = {"RATE_LIMITS": "off", "WEB_CONCURRENCY": "2"}


def is_draining(server: Server) -> bool:
    reply = server.get("/readyz")
    return reply.status == 503 and b'"server":"stopping"' in reply.body


class TestTheDelay:
    def test_it_is_unready_and_answers_all_the_same_until_it_ends(self, tmp_path: Path) -> None:
        with serving(tmp_path, SHUTDOWN_DELAY=str(DELAY), **SETTINGS) as server:
            server.wait_for_worker()
            token = server.token()
            kept = http.client.HTTPConnection(server.host, server.port, timeout=20)
            kept.request("GET", "/healthz")
            first = kept.getresponse()
            assert (first.read() and first.status, first.headers["Connection"]) == (
                200,
                "keep-alive",
            )
            stream = http.client.HTTPConnection(server.host, server.port, timeout=20)
            stream.request(
                "GET", "/api/events/stream", headers={"Authorization": f"Bearer {token}"}
            )
            events = stream.getresponse()
            assert events.status == 200

            begin = time.monotonic()
            server.process.terminate()
            eventually(lambda: is_draining(server), "/readyz says that it stops", DELAY)
            events.read()
            kept.request("GET", "/healthz")
            second = kept.getresponse()
            assert (second.status, second.headers["Connection"]) == (200, "close")
            # Each of the two processes answers some of these.
            for number in range(8):
                assert server.get("/healthz").status == 200
                made = server.post("/api/services", {"name": f"{number}", "type": "api"}, token)
                assert (made.status, made.headers["Connection"]) == (201, "close")
                assert is_draining(server)
            assert server.process.poll() is None

            assert server.process.wait(timeout=20) == 0
            assert time.monotonic() - begin >= DELAY
            server.wait_until_all_are_gone(5)
            assert server.stdout.count("worker stopped") == 1
            assert "Traceback" not in server.stderr + server.stdout

    def test_a_second_signal_ends_it(self, tmp_path: Path) -> None:
        with serving(tmp_path, SHUTDOWN_DELAY="300", **SETTINGS) as server:
            server.process.terminate()
            eventually(lambda: is_draining(server), "/readyz says that it stops")
            server.signal_group(signal.SIGINT)
            assert server.process.wait(timeout=20) == 0
            server.wait_until_all_are_gone(5)
            assert "Traceback" not in server.stderr + server.stdout

    def test_nothing_goes_on_without_the_first_process(self, tmp_path: Path) -> None:
        with serving(tmp_path, SHUTDOWN_DELAY="300", **SETTINGS) as server:
            server.process.terminate()
            eventually(lambda: is_draining(server), "/readyz says that it stops")
            server.process.kill()
            server.process.wait(timeout=5)
            server.wait_until_all_are_gone(15)


class TestThoseWhoReachedIt:
    @pytest.mark.skipif(sys.platform != "linux", reason="The system can't ignore connections.")
    @pytest.mark.parametrize("delay", ["0", "1"])
    def test_connections_that_were_not_accepted_yet_are_answered(
        self, tmp_path: Path, delay: str
    ) -> None:
        with serving(tmp_path, RATE_LIMITS="off", SHUTDOWN_DELAY=delay) as server:
            token = server.token()
            (worker,) = server.web_processes()
            os.kill(worker, signal.SIGSTOP)
            with ExitStack() as clients:
                queued = [
                    clients.enter_context(create_by_socket(server, token, f"queued {number}"))
                    for number in range(20)
                ]
                server.process.terminate()
                # The first process closes its socket; the other one has not heard of it yet.
                eventually(lambda: not listens(server.process.pid), "the socket is closed")
                os.kill(worker, signal.SIGCONT)
                for client in queued:
                    assert client.recv(65536).startswith(b"HTTP/1.1 201")
            assert server.process.wait(timeout=20) == 0

    def test_web_processes_are_renewed_under_load(self, tmp_path: Path) -> None:
        """By max_requests, and by a reload."""
        settings = SETTINGS | {
            "CMS_DATA_DIR": str(tmp_path / "data"),
            "CMS_ADMIN_EMAIL": EMAIL,
            "CMS_ADMIN_PASSWORD": PASSWORD,
            "PORT": str(free_port()),
        }
        with create_app(settings).app_context():
            prepare_database(current_settings())
            ensure_admin(current_settings())
            db.engine.dispose()
        command = (sys.executable, "-m", "gunicorn", "-c", "python:cms_services.gunicorn_conf")
        arguments = ("--max-requests", "60", "cms_services:create_app()")
        with serving(tmp_path / "run", *arguments, command=command, **settings) as server:
            token = server.token()
            seen = server.web_processes()
            with load_on(lambda: [server.port], token) as load:
                for _ in range(2):
                    before = server.web_processes()
                    server.process.send_signal(signal.SIGHUP)
                    eventually(
                        lambda before=before: not before & server.web_processes(),
                        "the processes are others",
                    )
                    seen |= server.web_processes()
                load.wait_for_more(60)
                eventually(lambda: bool(server.web_processes() - seen), "one is renewed")
            assert load.failures == []
            assert names_of_all(server, token) == dict.fromkeys(load.created, 1)
            assert "Traceback" not in server.stderr + server.stdout


def create_by_socket(server: Server, token: str, name: str) -> socket.socket:
    """A connection on which a request was sent whole, whether or not anybody accepts it."""
    body = json.dumps({"name": name, "type": "api"}).encode()
    head = (
        f"POST /api/services HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client = socket.create_connection((server.host, server.port), timeout=30)
    client.sendall(head.encode() + body)
    return client


def listens(pid: int) -> bool:
    """Whether a process holds a listening socket."""
    listening = {
        fields[9]
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[3] == "0A"
    }
    held = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return any(f"socket:[{inode}]" in held for inode in listening)
