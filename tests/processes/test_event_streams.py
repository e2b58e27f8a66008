"""Event streams of a real server: they hold no thread, and end when it does."""

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.processes.servers import Server, eventually, serving

THREADS = 4
STREAMS = 60


@contextmanager
def a_stream(server: Server, token: str, protocol: int = 11) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection._http_vsn = protocol
    connection._http_vsn_str = f"HTTP/1.{protocol - 10}"
    connection.request("GET", "/api/events/stream", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    try:
        assert answer.status == 200
        yield answer
    finally:
        answer.close()
        connection.close()


def next_type(answer: http.client.HTTPResponse) -> str:
    """The type of the next event."""
    while not (line := answer.readline().decode()).startswith("data: "):
        assert line, "the stream has ended"
    return line.partition('"type":"')[2].partition('"')[0]


def open_streams(server: Server) -> float:
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith("cms_event_streams "):
            return float(line.rpartition(" ")[2])
    return 0.0


class TestStreams:
    def test_many_are_served_beside_requests_and_end_with_their_readers_and_the_server(
        self, tmp_path: Path
    ) -> None:
        settings = {"WEB_CONCURRENCY": "1", "WEB_THREADS": str(THREADS), "RATE_LIMITS": "off"}
        with serving(tmp_path, **settings) as server, ExitStack() as streams:
            token = server.token()
            with a_stream(server, token):
                answers = [
                    streams.enter_context(a_stream(server, token, 10 + number % 2))
                    for number in range(STREAMS)
                ]
                eventually(lambda: open_streams(server) == STREAMS + 1, "all are open")
            eventually(lambda: open_streams(server) == STREAMS, "one whose reader went has ended")
            body = {"name": "One", "type": "api", "project": "shop"}
            assert server.post("/api/services", body, token).status == 201
            for answer in answers:
                assert next_type(answer) == "project.created"
                assert next_type(answer) == "service.created"
            server.process.terminate()
            assert server.process.wait(timeout=20) == 0
            for answer in answers:
                assert b"data" not in answer.read()
            server.wait_until_all_are_gone()
