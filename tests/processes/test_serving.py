"""What the running server does that no test client can show."""

import http.client
import json
import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.processes.servers import Server, eventually, serving

LONGEST_REQUEST_LINE = 8190


def first_line(server: Server, request_line: str) -> str:
    """The status line with which a request line is answered."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        head = f"{request_line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        return connection.makefile("rb").readline().decode().strip()


def refusal(server: Server, request_line: str) -> tuple[int, dict[str, Any]]:
    """Status and error of a request that the application never sees."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(f"{request_line}\r\nHost: 127.0.0.1\r\n\r\n".encode())
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            assert answer.headers["X-Request-ID"]
            error: dict[str, Any] = json.loads(answer.read())["error"]
            return answer.status, error


def counted(server: Server, operation: str) -> float:
    """How many requests for an operation /metrics tells of."""
    text = server.get("/metrics").body.decode()
    pattern = rf'cms_http_requests_total{{[^}}]*operation="{re.escape(operation)}"[^}}]*}} (\S+)'
    return sum(float(number) for number in re.findall(pattern, text))


def web_processes(server: Server) -> set[int]:
    """The web processes that have counted a request."""
    variables = Path(f"/proc/{server.process.pid}/environ").read_bytes().split(b"\0")
    folder = next(each for each in variables if each.startswith(b"PROMETHEUS_MULTIPROC_DIR="))
    files = Path(folder.decode().partition("=")[2]).glob("counter_*.db")
    counting = {int(file.stem.removeprefix("counter_")) for file in files}
    # So do the worker and the process that started them all.
    return counting & server.web_processes()


class TestTheServer:
    def test_long_request_lines_several_processes_and_their_metrics(self, tmp_path: Path) -> None:
        with serving(tmp_path, WEB_CONCURRENCY="2", RATE_LIMITS="off") as server:
            self._answers_the_longest_request_line(server)
            self._counts_every_request_of_all_processes(server)
            self._leaves_nothing_in_the_home_folder(server)

    def _answers_the_longest_request_line(self, server: Server) -> None:
        start, end = "GET /services.php?getServiceTypes=1&_=", " HTTP/1.1"
        buster = "x" * (LONGEST_REQUEST_LINE - len(start) - len(end))
        assert first_line(server, start + buster + end) == "HTTP/1.1 200 OK"
        assert first_line(server, start + buster + "x" + end) == "HTTP/1.1 414 URI Too Long"
        status, error = refusal(server, start + buster + "x" + end)
        assert (status, error["code"]) == (414, "URI_TOO_LONG")
        status, error = refusal(server, "GET /services.php?password=s3cr3t HTTP/9 x")
        assert (status, error["code"]) == (400, "VALIDATION_ERROR")
        assert "s3cr3t" not in str(error)

    def _counts_every_request_of_all_processes(self, server: Server) -> None:
        operation, path = "/services.php getTemplates", "/services.php?getTemplates=1"
        sent = 0
        with ThreadPoolExecutor(8) as pool:
            while sent < 200 or len(web_processes(server)) < 2:
                answers = pool.map(lambda _: server.get(path).status, range(50))
                assert set(answers) == {200}
                sent += 50
        assert counted(server, operation) == sent
        # Neither are the requests forgotten that a process counted which is gone since.
        victim = web_processes(server).pop()
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: not is_running(victim), "the killed process is reaped")
        assert counted(server, operation) == sent

    def _leaves_nothing_in_the_home_folder(self, server: Server) -> None:
        assert list((server.folder / "home").rglob("*")) == []


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
