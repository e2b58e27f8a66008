"""What the application passes on reaches PHP as it came, and PHP's answer the client."""

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.cutover.rig import FORM, Front, cutover, echoing_script, send, side_of
from tests.local_servers import free_port
from tests.php_cms.running import PhpCms
from tests.processes.servers import Reply, eventually

# PHP takes files of 2 MiB.
BINARY = bytes(range(256)) * 6_000
PARTS = (
    b'--xyz\r\nContent-Disposition: form-data; name="upload"\r\n\r\n1\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="\xff.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + BINARY + b"\r\n"
    b'--xyz\r\nContent-Disposition: form-data; name="more"; filename="x"\r\n\r\n'
    + BINARY[::-1]
    + b"\r\n--xyz--\r\n"
)
# What PHP makes of it.
FILES = {
    "file": hashlib.sha256(BINARY).hexdigest(),
    "more": hashlib.sha256(BINARY[::-1]).hexdigest(),
}
MULTIPART = "multipart/form-data; boundary=xyz"


@pytest.fixture(scope="module")
def front(cms: PhpCms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("echo")
    script = echoing_script(folder / "site")
    actions = {"upload": "php", "getServices": "flask"}
    with cutover(
        folder, cms, actions, script=script, LEGACY_PHP_TIMEOUT="2", RATE_LIMITS="on"
    ) as front:
        yield front


def direct(front: Front) -> int:
    """The port of PHP alone."""
    table = yaml.safe_load(front.table_file.read_text())
    return int(table["php"].rpartition(":")[2])


def both(front: Front, *args: Any, **kwargs: Any) -> tuple[Reply, Reply]:
    """One request to PHP alone, and the same by way of the application."""
    return (
        send(direct(front), *args, **kwargs),
        send(front.server.port, *args, **kwargs),
    )


def headers_of(reply: Reply) -> list[tuple[str, str]]:
    own = ("date", "server", "connection", "transfer-encoding", "content-length")
    return sorted((n, v) for n, v in reply.headers.items() if n.lower() not in own)


def _headers_that_reached(reply: Reply) -> dict[str, str]:
    told = json.loads(reply.body)["headers"]
    return {name: bytes.fromhex(value).decode("latin-1") for name, value in told.items()}


class TestUnchanged:
    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b"upload=1&name=M%FCller&\xff=\xfe", FORM),
            (b'{"upload": 1, "x": {"y": [1, null]}}', "application/json"),
            (PARTS, MULTIPART),
            (BINARY, "application/octet-stream"),
            (b"upload=1\x00", "text/plain; charset=latin1"),
            (b"{broken", "application/json"),
            (b"", FORM),
        ],
        ids=["form", "json", "parts", "binary", "text", "broken", "empty"],
    )
    @pytest.mark.parametrize("chunked", [False, True])
    def test_bodies(self, front: Front, body: bytes, kind: str, chunked: bool) -> None:
        sent = {"Content-Type": kind}
        query = "/services.php?a%5Bb%5D=1&caf%E9=%00&upload=%c3"
        plain, passed = both(front, "POST", query, body, sent, chunked=chunked)
        told = json.loads(passed.body)
        if kind == MULTIPART:
            assert told["files"] == FILES
        else:
            assert told["sha256"] == hashlib.sha256(body).hexdigest()
        assert told["length"] == len(body)
        assert told["type"] == kind
        assert told["query"] == query.partition("?")[2]
        assert told["method"] == "POST"
        assert passed.status == plain.status == 200
        assert headers_of(passed) == headers_of(plain)

    def test_headers_reach_php_but_for_those_of_the_connection(self, front: Front) -> None:
        sent = {
            "Cookie": "PHPSESSID=abc; b=\xe9; c=d=e",
            "Host": "cms.example.com:8443",
            "Authorization": "Basic eDp5",
            "User-Agent": "Old Frontend/1.0",
            "X-Own": "  two  words ",
            "If-None-Match": '"x"',
            "Accept-Encoding": "br",
            "Connection": "close, X-Only-Here",
            "X-Only-Here": "1",
            "TE": "trailers",
            "Upgrade": "h2c",
            "X-Request-ID": "from-the-client",
            "X-Forwarded-For": "203.0.113.9",
        }
        plain, passed = both(front, "GET", "/services.php?upload", None, sent)
        without, given = _headers_that_reached(plain), _headers_that_reached(passed)
        for name in ("COOKIE", "HOST", "AUTHORIZATION", "USER_AGENT", "X_OWN", "IF_NONE_MATCH",
                     "ACCEPT_ENCODING", "X_REQUEST_ID"):  # fmt: skip
            assert given[f"HTTP_{name}"] == without[f"HTTP_{name}"], name
        assert given["HTTP_X_FORWARDED_FOR"] == "203.0.113.9, 127.0.0.1"
        assert given["HTTP_X_FORWARDED_PROTO"] == "http"
        assert given["HTTP_X_CMS_PASSED_ON"] == "1"
        for name in ("X_ONLY_HERE", "TE", "UPGRADE"):
            assert f"HTTP_{name}" not in given

    def test_the_answer_keeps_its_cookies_bytes_and_status(self, front: Front) -> None:
        plain, passed = both(front, "GET", "/services.php?upload&big")
        assert len(passed.body) == 3_000_000
        assert passed.body == plain.body
        assert passed.headers.get_all("Set-Cookie") == [
            "first=1; path=/",
            "second=2; path=/; HttpOnly",
        ]
        assert passed.headers["X-Old-Header"] == "M\xfcller"
        assert "X-Frame-Options" not in passed.headers
        for status in (201, 204, 302, 304, 404, 418, 500):
            plain, passed = both(front, "GET", f"/services.php?upload&status={status}")
            assert (passed.status, headers_of(passed)) == (plain.status, headers_of(plain))
            assert len(passed.body) == 0 if status in (204, 304) else passed.body

    @pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
    def test_other_methods(self, front: Front, method: str) -> None:
        plain, passed = both(front, method, "/services.php?upload")
        assert (passed.status, headers_of(passed)) == (plain.status, headers_of(plain))
        if method != "HEAD":
            assert json.loads(passed.body)["method"] == method

    def test_by_way_of_nginx_php_knows_the_clients_address(self, front: Front) -> None:
        asked = front.send(
            *("POST", "/services.php", b"upload=1", {"Content-Type": FORM}), address="127.0.0.9"
        )
        assert json.loads(asked.body)["address"] == "127.0.0.9"

    def test_an_upload_of_3_mb_passes_nginx_too(self, front: Front) -> None:
        for chunked in (False, True):
            sent = {"Content-Type": MULTIPART}
            reply = front.send("POST", "/services.php", PARTS, sent, chunked=chunked)
            assert len(PARTS) > 3_000_000
            assert json.loads(reply.body)["files"] == FILES


class TestRefused:
    def test_what_is_ours_is_never_passed_on_and_keeps_its_limits(self, front: Front) -> None:
        reply = front.send("POST", "/services.php", b"getServices=1", {"Content-Type": FORM})
        assert side_of(reply) == "flask"
        assert json.loads(reply.body)["error"]["code"] == "UNAUTHENTICATED"
        long = b"getServices=1&x=" + b"x" * 1_100_000
        reply = front.send("POST", "/services.php", long, {"Content-Type": FORM})
        assert reply.status == 413

    def test_what_is_passed_on_is_not_counted_by_our_limits(self, front: Front) -> None:
        for _ in range(130):
            reply = send(front.server.port, "GET", "/services.php?upload", address="127.0.0.77")
            assert reply.status == 200
            assert "RateLimit-Limit" not in reply.headers

    def test_a_body_beyond_the_limit_of_the_table_is_refused(self, front: Front) -> None:
        long = b"upload=1&x=" + b"x" * (16 * 1024 * 1024)
        reply = send(front.server.port, "POST", "/services.php", long, {"Content-Type": FORM})
        assert reply.status == 413
        assert json.loads(reply.body)["error"]["code"] == "PAYLOAD_TOO_LARGE"

    def test_a_circle_is_broken(self, front: Front) -> None:
        sent = {"X-CMS-Passed-On": "1"}
        reply = send(front.server.port, "GET", "/services.php?upload", None, sent)
        assert reply.status == 502
        assert json.loads(reply.body)["error"]["code"] == "UPSTREAM_ERROR"

    def test_a_php_that_takes_too_long(self, front: Front) -> None:
        reply = send(front.server.port, "GET", "/services.php?upload&slow=5")
        assert reply.status == 504
        assert json.loads(reply.body)["error"]["code"] == "UPSTREAM_TIMEOUT"

    def test_a_php_that_takes_too_long_for_nginx(self, front: Front) -> None:
        conf = front.folder / "front.conf"
        good = conf.read_text()
        path = "/services.php?upload&slow=2"
        try:
            conf.write_text(good.replace("root ", "fastcgi_read_timeout 1s; root ", 1))
            front.reload()
            eventually(lambda: front.send("GET", path).status == 504, "nginx waits no longer")
            told = json.loads(front.send("GET", path).body)["error"]
            assert told["code"] == "UPSTREAM_TIMEOUT"
        finally:
            conf.write_text(good)
            front.reload()


class TestTheTableChanges:
    def test_it_is_read_anew_and_a_broken_one_leaves_the_last(self, front: Front) -> None:
        good = front.table_file.read_text()

        def side() -> str:
            return side_of(send(front.server.port, "GET", "/services.php?getServices"))

        def put(text: str) -> None:
            written = front.folder / "new"
            written.write_text(text)
            os.replace(written, front.table_file)

        assert side() == "flask"
        try:
            put(good.replace("getServices: flask", "getServices: php"))
            assert side() == "php"
            put(good.replace("getServices: flask", "getServices: nowhere"))
            assert side() == "php"
            front.table_file.unlink()
            assert side() == "php"
            eventually(lambda: "can't be used" in front.server.stdout, "it is logged")
        finally:
            put(good)
        assert side() == "flask"

    def test_php_away_is_told_at_once(self, front: Front) -> None:
        good = front.table_file.read_text()
        away = yaml.safe_load(good) | {"php": f"http://127.0.0.1:{free_port()}"}
        try:
            front.table_file.write_text(yaml.safe_dump(away))
            reply = send(front.server.port, "POST", "/services.php?upload", b"x=1")
            assert reply.status == 503
            assert json.loads(reply.body)["error"]["code"] == "NOT_READY"
            assert int(reply.headers["Retry-After"]) > 0
        finally:
            front.table_file.write_text(good)

    def test_bytes_and_the_connections_own_headers(self, front: Front) -> None:
        """Both as they are on the wire, which a web server would have put in order."""
        with (
            as_php(front) as listener,
            socket.create_connection(("127.0.0.1", front.server.port), 20) as client,
        ):
            head = (
                "POST /services.php?upload&q=%2f+x HTTP/1.1\r\nHost: cms.example:81\r\n"
                f"Content-Type: {MULTIPART}\r\nContent-Length: {len(PARTS)}\r\n"
                "Connection: close\r\nExpect: 100-continue\r\nCookie: a=1; b=\xe9\r\n\r\n"
            )
            client.sendall(head.encode("latin-1"))
            assert client.recv(100).startswith(b"HTTP/1.1 100")
            client.sendall(PARTS)
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as received:
                lines = [line.rstrip() for line in iter(received.readline, b"\r\n")]
                body = received.read(len(PARTS))
                connection.sendall(
                    b"HTTP/1.1 299 Very Odd\r\nTransfer-Encoding: chunked\r\n"
                    b"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
                    b"Set-Cookie: a=1\r\nSet-Cookie: b=2, c\r\n\r\n3\r\n\x00\xff\n\r\n0\r\n\r\n"
                )
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        assert lines[0] == b"POST /services.php?upload&q=%2f+x HTTP/1.1"
        assert b"Host: cms.example:81" in lines
        assert b"Cookie: a=1; b=\xe9" in lines
        assert not [line for line in lines if line.lower().startswith((b"expect", b"transfer"))]
        assert body == PARTS
        # The interim answer may come twice.
        answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        head_of_answer, _, rest = answer.partition(b"\r\n\r\n")
        assert head_of_answer.startswith(b"HTTP/1.1 299 Very Odd\r\n")
        assert b"Set-Cookie: a=1\r\nSet-Cookie: b=2, c" in head_of_answer
        assert b"X-Hop" not in head_of_answer and b"Keep-Alive" not in head_of_answer
        assert b"\x00\xff\n" in rest

    @pytest.mark.parametrize(
        "answer",
        [b"Content-Length: 100\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"],
    )
    def test_half_an_answer_ends_the_connection(self, front: Front, answer: bytes) -> None:
        """Else the client would take the next answer for the rest of it."""
        with (
            as_php(front) as listener,
            socket.create_connection(("127.0.0.1", front.server.port), 20) as client,
        ):
            ask = b"GET /services.php?upload HTTP/1.1\r\nHost: x\r\n\r\n"
            client.sendall(ask)
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + answer)
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while piece := client.recv(65536):
                received += piece
        assert received.count(b"HTTP/1.1 200") == 1
        assert b"half" in received and not received.endswith(b"0\r\n\r\n")

    def test_a_failure_is_told_by_the_id_that_php_was_given(self, front: Front) -> None:
        with (
            as_php(front) as listener,
            socket.create_connection(("127.0.0.1", front.server.port), 20) as client,
        ):
            client.sendall(b"GET /services.php?upload HTTP/1.0\r\nHost: x\r\n\r\n")
            connection, _ = listener.accept()
            with connection:
                asked = connection.recv(65536)
            told = b""
            while piece := client.recv(65536):
                told += piece
        sent = re.search(rb"X-Request-ID: (\w+)", asked)
        assert told.startswith((b"HTTP/1.0 502", b"HTTP/1.1 502"))
        assert sent is not None and b"X-Request-ID: " + sent[1] in told

    def test_one_that_breaks_off_is_told_and_asked_once(self, front: Front) -> None:
        with as_php(front) as listener:
            with socket.create_connection(("127.0.0.1", front.server.port), 20) as client:
                client.sendall(
                    b"POST /services.php?upload HTTP/1.1\r\nHost: x\r\n"
                    b"Connection: close\r\nContent-Length: 3\r\n\r\na=1"
                )
                connection, _ = listener.accept()
                assert connection.recv(1)
                connection.close()
                answer = b""
                while piece := client.recv(65536):
                    answer += piece
            assert answer.startswith(b"HTTP/1.1 502")
            assert b"UPSTREAM_ERROR" in answer
            listener.settimeout(0.2)
            with pytest.raises(TimeoutError):
                listener.accept()


@contextmanager
def as_php(front: Front) -> Iterator[socket.socket]:
    """A listener that the table has as PHP for a while."""
    good = front.table_file.read_text()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        php = {"php": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        front.table_file.write_text(yaml.safe_dump(yaml.safe_load(good) | php))
        try:
            yield listener
        finally:
            front.table_file.write_text(good)
