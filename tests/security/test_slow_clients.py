"""A real server and clients that take their time, or send without end."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.processes.servers import Server, eventually, serving

REQUEST_TIMEOUT = 6
# How long another client waits at most; the machine may be busy with other tests.
BOUND_SECONDS = 3.0
CLIENTS = 20

HEAD = b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("slow")
    settings = {"WEB_THREADS": "8", "RATE_LIMITS": "off", "REQUEST_TIMEOUT": str(REQUEST_TIMEOUT)}
    with serving(folder, **settings) as server:
        yield server
        assert "Traceback" not in server.stderr + server.stdout


def connected(server: Server, receive_buffer: int = 0) -> socket.socket:
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(20)
    client.connect((server.host, server.port))
    return client


@contextmanager
def clients(server: Server, number: int, first: bytes, **options: int) -> Iterator[list[Any]]:
    """So many clients that have sent their first bytes."""
    made = [connected(server, **options) for _ in range(number)]
    try:
        for client in made:
            client.sendall(first)
        yield made
    finally:
        for client in made:
            client.close()


@contextmanager
def dripping(made: list[socket.socket], piece: bytes) -> Iterator[None]:
    """Let each client send a few bytes now and then."""
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(0.3):
            for client in made:
                with suppress(OSError):
                    client.send(piece)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def longest_wait(server: Server, seconds: float = 1.5) -> float:
    """The longest time in which another client was answered, who asks again and again."""
    longest, ends = 0.0, time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.monotonic()
        assert server.get("/api/service-types").status == 200
        longest = max(longest, time.monotonic() - began)
        # What holds others up lasts longer; without a pause this would, by itself.
        time.sleep(0.02)
    return longest


def answer_of(client: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer that a client gets."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.status, json.loads(answer.read())


def refusal_of(client: socket.socket, status: int, code: str) -> None:
    given, body = answer_of(client)
    assert (given, body["success"], body["error"]["code"]) == (status, False, code)


class TestSlowClients:
    @pytest.mark.parametrize(
        ("first", "piece"),
        [
            (b"", b""),
            (b"G", b""),
            (b"GET /api/service-types HTTP/1.1\r\n", b"X-Filler: 1\r\n"),
            (HEAD + b"Content-Length: 500000\r\n\r\n{", b" "),
            (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
            (HEAD + b"Content-Length: 500\r\nExpect: 100-continue\r\n\r\n", b" "),
            (HEAD + b"Content-Length: 2000000\r\n\r\n", b" "),
        ],
        ids=["silent", "one byte", "headers", "body", "chunks", "asked to continue", "too large"],
    )
    def test_they_stop_nobody_else(self, server: Server, first: bytes, piece: bytes) -> None:
        with clients(server, CLIENTS, first) as made, dripping(made, piece or b""):
            assert longest_wait(server) < BOUND_SECONDS

    def test_those_that_keep_the_connection_after_the_answer_stop_nobody(
        self, server: Server
    ) -> None:
        asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with clients(server, CLIENTS, asked):
            assert longest_wait(server) < BOUND_SECONDS

    def test_those_that_do_not_read_the_answer_stop_nobody(self, server: Server) -> None:
        # The first one waits for the document to be made.
        assert server.get("/api/openapi.json").status == 200
        asked = b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        with clients(server, CLIENTS, asked, receive_buffer=2048):
            assert longest_wait(server) < BOUND_SECONDS

    def test_more_of_them_than_there_are_places_stop_nobody(self, server: Server) -> None:
        with clients(server, 560, b"GET /"):
            assert longest_wait(server) < BOUND_SECONDS

    def test_they_are_told_after_the_deadline(self, server: Server) -> None:
        def seconds_until_told(first: bytes) -> float:
            began = time.monotonic()
            with clients(server, 1, first) as (client,):
                refusal_of(client, 408, "REQUEST_TIMEOUT")
                assert client.recv(1) == b""
            return time.monotonic() - began

        unfinished = {
            "headers": b"GET /api/service-types HTTP/1.1\r\nHost: x\r\n",
            "body": HEAD + b"Content-Length: 500\r\n\r\n{",
            "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        }
        with ThreadPoolExecutor() as pool:
            waited = dict(
                zip(unfinished, pool.map(seconds_until_told, unfinished.values()), strict=True)
            )
        for what, seconds in waited.items():
            assert REQUEST_TIMEOUT - 1 < seconds < REQUEST_TIMEOUT + BOUND_SECONDS, what

    def test_one_that_never_speaks_is_cut_off(self, server: Server) -> None:
        with clients(server, 1, b"") as (client,):
            assert client.recv(1) == b""

    def test_one_that_is_slow_but_in_time_is_answered(self, server: Server) -> None:
        body = b'{"email": "a@example.com", "password": "b"}'
        for framed in (
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        ):
            with connected(server) as client:
                for byte in HEAD + framed:
                    client.send(bytes([byte]))
                    time.sleep(0.002)
                refusal_of(client, 401, "UNAUTHENTICATED")


class TestConnections:
    def test_a_client_is_told_to_go_on_with_its_body(self, server: Server) -> None:
        head = HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        with clients(server, 1, head) as (client,):
            assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"{}")
            refusal_of(client, 400, "VALIDATION_ERROR")

    def test_requests_that_come_together_are_answered_in_turn(self, server: Server) -> None:
        one = b"GET /api/%b HTTP/1.1\r\nHost: x\r\n%b\r\n"
        both = one % (b"service-types", b"") + one % (b"nothing", b"Connection: close\r\n")
        for cut in (len(both), len(both) // 2, len(both) - 1):
            with clients(server, 1, both[:cut]) as (client,):
                time.sleep(0.2)
                client.sendall(both[cut:])
                received = b"".join(iter(lambda: client.recv(65536), b""))
            assert received.startswith(b"HTTP/1.1 200 ")
            assert received.count(b"HTTP/1.1 404 ") == 1

    def test_a_connection_serves_several_requests(self, server: Server) -> None:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        for _ in range(3):
            connection.request("POST", "/api/auth/login", b"{}", {"Content-Type": "text/plain"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 415
        connection.close()

    def test_half_a_body_is_refused(self, server: Server) -> None:
        with clients(server, 1, HEAD + b"Content-Length: 9\r\n\r\n{") as (client,):
            client.shutdown(socket.SHUT_WR)
            refusal_of(client, 400, "VALIDATION_ERROR")

    def test_half_a_form_changes_nothing(self, server: Server) -> None:
        """It could be read as a whole one with fewer or shorter values."""
        token = server.token()
        form = b"createService=1&type=api&project=Half&name=Half a name"
        head = (
            f"POST /services.php HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\n"
        )
        with clients(server, 1, head.encode() + form) as (client,):
            client.shutdown(socket.SHUT_WR)
            refusal_of(client, 400, "VALIDATION_ERROR")
        assert server.get("/services.php?getServices=1", token).data == []


class TestWhatIsLogged:
    @pytest.mark.parametrize(
        "request_line",
        [
            b"GET /services.php?password=s3cr3t HTTP/9 x\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nAuthorization s3cr3t\r\n\r\n",
            b"GET / HTTP/1.1\r\ns3cr3t\x1b[2J: x\r\n\r\n",
            b"s3cr3t\x1b[2J\xff\r\n\r\n",
            b"GET /s3cr3t\x00 HTTP/1.1\r\n\r\n",
            b"GET /s3cr3t HTTP/1.1\nHost: x\n\n",
        ],
    )
    def test_a_refused_request_leaves_a_line_that_quotes_nothing_of_it(
        self, server: Server, request_line: bytes
    ) -> None:
        with clients(server, 1, request_line) as (client,):
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.status == 400
            request_id = answer.headers["X-Request-ID"]
        eventually(lambda: request_id in server.stdout, "the refusal is logged")
        (line,) = [each for each in server.stdout.splitlines() if request_id in each]
        logged = json.loads(line)
        assert (logged["message"], logged["status"]) == ("request refused", 400)
        assert logged["address"] == "127.0.0.1"
        assert "s3cr3t" not in server.stdout + server.stderr
        assert "\x1b" not in server.stdout + server.stderr


def endless(piece: bytes, begin: bytes) -> Callable[[socket.socket], None]:
    def send(client: socket.socket) -> None:
        # The server may close before it has read all.
        with suppress(OSError):
            client.sendall(begin)
            for _ in range(20):
                client.sendall(piece)

    return send


class TestEndlessRequests:
    @pytest.mark.parametrize(
        ("begin", "piece", "status", "code"),
        [
            (b"GET /", b"x" * 4096, 414, "URI_TOO_LONG"),
            (b"GET / HTTP/1.1\r\n", b"X: 1\r\n" * 1000, 431, "VALIDATION_ERROR"),
            (b"GET / HTTP/1.1\r\nX: ", b"x" * 4096, 431, "VALIDATION_ERROR"),
            (HEAD + b"Content-Length: 1048577\r\n\r\n", b"", 413, "PAYLOAD_TOO_LARGE"),
            (
                HEAD + b"Content-Length: 99999999999999\r\n\r\n",
                b"x" * 9000,
                413,
                "PAYLOAD_TOO_LARGE",
            ),
            (
                HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
                b"20000\r\n" + b"x" * 0x20000 + b"\r\n",
                413,
                "PAYLOAD_TOO_LARGE",
            ),
            (
                HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
                b"1\r\nx\r\n" * 40_000,
                413,
                "PAYLOAD_TOO_LARGE",
            ),
        ],
        ids=["line", "headers", "a header", "length", "huge length", "chunks", "tiny chunks"],
    )
    def test_each_is_refused(
        self, server: Server, begin: bytes, piece: bytes, status: int, code: str
    ) -> None:
        with connected(server) as client:
            endless(piece, begin)(client)
            refusal_of(client, status, code)

    @pytest.mark.parametrize("path", [b"/services.php", b"/api/services", b"/login", b"/nothing"])
    def test_a_whole_body_that_is_too_large_is_refused_everywhere(
        self, server: Server, path: bytes
    ) -> None:
        chunk = b"%x\r\n%b\r\n" % (MEBIBYTE + 1, b"x" * (MEBIBYTE + 1))
        with connected(server) as client:
            client.sendall(
                b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (path, chunk)
            )
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.status == 413
