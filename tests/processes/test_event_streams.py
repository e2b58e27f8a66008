"""Event streams of a real server: they hold no thread, and end when it does."""

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.processes.servers import COMMAND, Server, eventually, serving

THREADS = 4
# Of each kind.
STREAMS = 40
EVENTS = "/api/events/stream"
SETTINGS = {"WEB_CONCURRENCY": "1", "WEB_THREADS": str(THREADS), "RATE_LIMITS": "off"}


@contextmanager
def a_stream(
    server: Server, token: str, path: str = EVENTS, protocol: int = 11
) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection._http_vsn = protocol
    connection._http_vsn_str = f"HTTP/1.{protocol - 10}"
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    try:
        yield answer
    finally:
        answer.close()
        connection.close()


def next_data(answer: http.client.HTTPResponse) -> dict[str, Any]:
    """The next event's data."""
    while not (line := answer.readline().decode()).startswith("data: "):
        assert line, "the stream has ended"
    data: dict[str, Any] = json.loads(line.removeprefix("data: "))
    return data


def open_streams(server: Server) -> float:
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith("cms_event_streams "):
            return float(line.rpartition(" ")[2])
    return 0.0


def limited_to(option: str, files: int) -> tuple[str, ...]:
    """The command, where a process is granted only so many open files."""
    return ("sh", "-c", f'ulimit {option} {files} && exec "$@"', "sh", *COMMAND)


class TestStreams:
    def test_many_are_served_beside_requests_and_end_with_their_readers_and_the_server(
        self, tmp_path: Path
    ) -> None:
        """More than the files that a process is granted where it doesn't ask for more."""
        few = limited_to("-S -n", STREAMS)
        with serving(tmp_path, command=few, **SETTINGS) as server, ExitStack() as streams:
            token = server.token()
            body = {"name": "One", "type": "api", "project": "shop"}
            made = server.post("/api/services", body, token).data
            logs = f"/api/services/{made['id']}/logs"
            with a_stream(server, token):
                (events, tails) = (
                    [
                        streams.enter_context(a_stream(server, token, path, 10 + number % 2))
                        for number in range(STREAMS)
                    ]
                    for path in (EVENTS, f"{logs}/tail")
                )
                eventually(lambda: open_streams(server) == 2 * STREAMS + 1, "all are open")
            eventually(lambda: open_streams(server) == 2 * STREAMS, "the one that went has ended")
            assert server.post(f"/api/services/{made['id']}/suspend", {}, token).status == 200
            entries = [{"level": "info", "message": "one"}, {"level": "warn", "message": "two"}]
            assert server.post(logs, {"entries": entries}, token).status == 202
            for answer in events:
                assert next_data(answer)["type"] == "service.deactivated"
            for answer in tails:
                assert [next_data(answer)["message"] for _ in entries] == ["one", "two"]
            server.process.terminate()
            assert server.process.wait(timeout=20) == 0
            for answer in (*events, *tails):
                assert b"data" not in answer.read()
            server.wait_until_all_are_gone()

    def test_they_leave_open_files_to_requests_where_the_system_grants_few(
        self, tmp_path: Path
    ) -> None:
        few = limited_to("-n", 200)
        with serving(tmp_path, command=few, **SETTINGS) as server, ExitStack() as streams:
            token = server.token()
            for number in range(16):
                assert streams.enter_context(a_stream(server, token)).status == 200
                eventually(lambda count=number + 1: open_streams(server) == count, "it is open")
            assert streams.enter_context(a_stream(server, token)).status == 503
            assert server.get("/api/services/active", token).status == 200
