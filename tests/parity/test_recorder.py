"""The recorder: what passes through it, what it writes down, and what it does in trouble."""

import gzip
import http.client
import json
import os
import socket
import stat
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.local_servers import free_port, listening
from tests.parity.old_and_new import lines_of, recording
from tests.processes.servers import COMMAND, environment, eventually

LARGE = 9 * 1024 * 1024


class _Upstream(BaseHTTPRequestHandler):
    """An upstream that answers by path, and remembers what it was sent."""

    protocol_version = "HTTP/1.1"
    seen: list[dict[str, Any]] = []

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(length)
        headers = [(name, value) for name, value in self.headers.items()]
        self.seen.append({"path": self.path, "headers": headers, "body": body})
        if "huge" in self.path:
            self._answer(b"x" * LARGE)
        elif "packed" in self.path:
            self._answer(gzip.compress(b'{"a":1}'), ("Content-Encoding", "gzip"))
        elif "broken" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        elif "slow" in self.path:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"first", b"second"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
                go_on.wait(30)
            self.wfile.write(b"0\r\n\r\n")
        else:
            told = [("Set-Cookie", "PHPSESSID=s3cret; path=/"), ("Set-Cookie", "b=2")]
            told += [("Connection", "X-Inner"), ("X-Inner", "1"), ("Keep-Alive", "timeout=5")]
            self._answer(b'{"password":"hunter2","name":"x\\/y"}', *told)

    do_POST = do_HEAD = do_PUT = do_GET

    def _answer(self, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(203, "Quite So")
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


go_on = threading.Event()


@contextmanager
def upstream() -> Iterator[str]:
    _Upstream.seen = []
    go_on.clear()
    with listening(ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)) as address:
        try:
            yield address
        finally:
            go_on.set()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return tmp_path / "recording.jsonl"


def ask(
    recorder: str, method: str, target: str, body: Any = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(recorder.removeprefix("http://"), timeout=60)
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    told = answer.read()
    connection.close()
    return answer, told


def test_messages_pass_unchanged_but_for_what_ends_at_a_proxy(
    tmp_path: Path, recorded: Path
) -> None:
    with upstream() as old, recording(tmp_path / "r", old, recorded) as recorder:
        answer, body = ask(
            recorder,
            "POST",
            "/cms//services.php?a=%2F%zz&b[]=1&password=hunter2",
            b"getServices=1&token=abc",
            Connection="close, X-Hop",
            TE="trailers",
            **{"X-Hop": "1", "X-Kept": "2", "X-Forwarded-For": "192.0.2.1"},
        )
    seen = _Upstream.seen[0]
    names = {name.lower(): value for name, value in seen["headers"]}
    assert seen["path"] == "/cms//services.php?a=%2F%zz&b[]=1&password=hunter2"
    assert seen["body"] == b"getServices=1&token=abc"
    assert names["host"] == recorder.removeprefix("http://")
    assert names["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"
    assert names["x-forwarded-proto"] == "http" and names["x-kept"] == "2"
    assert not {"x-hop", "te", "user-agent", "accept", "content-type"} & set(names)
    assert (answer.status, answer.reason) == (203, "Quite So")
    assert body == b'{"password":"hunter2","name":"x\\/y"}'
    assert answer.headers.get_all("Set-Cookie") == ["PHPSESSID=s3cret; path=/", "b=2"]
    assert "X-Inner" not in answer.headers


def test_secrets_are_masked_and_equal_ones_stay_equal(tmp_path: Path, recorded: Path) -> None:
    with upstream() as old, recording(tmp_path / "r", old, recorded) as recorder:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        target = "/services.php?api_key=hunter2"
        for body in (b"configuration%5BdbPassword%5D=hunter2&name=a%20b", b"pwd=other"):
            ask(recorder, "POST", target, body, Cookie="sid=hunter2; x=1", **form)
        ask(recorder, "GET", "/services.php", Authorization="Bearer hunter2")
        ask(recorder, "GET", "/elsewhere.php?secret=hunter2")
    text = recorded.read_text()
    assert "hunter2" not in text and "s3cret" not in text and "other" not in text
    first, second, third = lines_of(recorded)
    mask = first["request"]["target"].partition("=")[2]
    assert mask.startswith("masked-") and second["request"]["target"].endswith(mask)
    assert first["request"]["body"] == f"configuration%5BdbPassword%5D={mask}&name=a%20b"
    assert first["response"]["body"] == f'{{"password":"{mask}","name":"x/y"}}'
    assert ["Cookie", f"sid={mask}; x={dict(second['request']['headers'])['Cookie'][-23:]}"] in (
        first["request"]["headers"]
    )
    assert ["Authorization", f"Bearer {mask}"] in third["request"]["headers"]
    assert stat.S_IMODE(recorded.stat().st_mode) == 0o600


def test_huge_bodies_pass_both_ways_and_are_not_recorded(tmp_path: Path, recorded: Path) -> None:
    with upstream() as old, recording(tmp_path / "r", old, recorded) as recorder:
        chunks = (b"y" * 65536 for _ in range(LARGE // 65536))
        _, body = ask(recorder, "PUT", "/services.php?huge", chunks)
    assert len(body) == LARGE
    assert len(_Upstream.seen[0]["body"]) == LARGE
    line = lines_of(recorded)[0]
    assert line["request"]["body"] is None and line["response"]["body"] is None


def test_packed_answers_pass_packed_and_are_recorded_unpacked(
    tmp_path: Path, recorded: Path
) -> None:
    with upstream() as old, recording(tmp_path / "r", old, recorded) as recorder:
        _, body = ask(recorder, "GET", "/services.php?packed")
        head, nothing = ask(recorder, "HEAD", "/services.php?x=1")
    assert gzip.decompress(body) == b'{"a":1}' and nothing == b""
    assert int(head.headers["Content-Length"]) > 0
    assert lines_of(recorded)[0]["response"]["body"] == '{"a":1}'


def test_what_could_not_be_unpacked_is_not_asked_for(tmp_path: Path, recorded: Path) -> None:
    with upstream() as old, recording(tmp_path / "r", old, recorded) as recorder:
        for accepted in ("gzip, deflate, br, zstd", "br"):
            ask(recorder, "GET", "/services.php", **{"Accept-Encoding": accepted})
    told = [dict(each["headers"])["Accept-Encoding"] for each in _Upstream.seen]
    assert told == ["gzip, deflate", "identity"]


def test_a_slow_answer_passes_as_it_comes(tmp_path: Path, recorded: Path) -> None:
    with (
        upstream() as old,
        recording(tmp_path / "r", old, recorded) as recorder,
        urllib.request.urlopen(f"{recorder}/services.php?slow") as answer,
    ):
        assert answer.read(5) == b"first"
        go_on.set()
        assert answer.read() == b"second"
    assert lines_of(recorded)[0]["response"]["body"] == "firstsecond"


def test_an_answer_that_breaks_off_breaks_off_for_the_client_too(
    tmp_path: Path, recorded: Path
) -> None:
    with upstream() as old, recording(tmp_path / "r", old, recorded) as recorder:
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(recorder, "GET", "/services.php?broken")
        assert ask(recorder, "GET", "/services.php?after")[0].status == 203
    first, second = lines_of(recorded)
    assert first["response"]["body"] is None and second["response"]["body"]


def test_an_upstream_that_is_away_is_told_and_comes_back(tmp_path: Path, recorded: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with recording(tmp_path / "r", nobody, recorded) as recorder:
        assert ask(recorder, "GET", "/services.php")[0].status == 502
    assert "The upstream does not answer" in (tmp_path / "r" / "told").read_text()
    assert recorded.read_text() == ""


def test_a_full_disk_is_told_and_nothing_but_the_recording_suffers(
    tmp_path: Path, recorded: Path
) -> None:
    port = free_port()
    with upstream() as old:
        # A file may have no more than 8 KiB, which fails a write as a full disk does.
        arguments = f"parity record --upstream {old} --listen 127.0.0.1:{port} --to {recorded}"
        process = subprocess.Popen(
            ["bash", "-c", f"ulimit -f 8; exec {COMMAND[0]} {arguments} 2>{tmp_path}/told"],
            env=environment(tmp_path, CMS_DATA_DIR=str(tmp_path / "data")),
        )
        try:
            eventually(lambda: _listens(port), "the recorder listens")
            for number in range(40):
                answer, _ = ask(f"http://127.0.0.1:{port}", "GET", f"/services.php?n={number}")
                assert answer.status == 203
        finally:
            process.terminate()
            process.wait(30)
    told = (tmp_path / "told").read_text()
    assert told.count("Requests still pass.") == 1 and "lost" in told
    # What is there is whole.
    lines = recorded.read_bytes().split(b"\n")
    assert lines[-1] == b"" and len(lines) < 40
    assert all(json.loads(line) for line in lines[:-1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_recording_is_gone_on_with_and_another_file_is_left_alone(
    tmp_path: Path, recorded: Path
) -> None:
    with upstream() as old:
        for number in range(2):
            with recording(tmp_path / str(number), old, recorded) as recorder:
                ask(recorder, "GET", "/services.php")
            with recorded.open("ab") as file:
                # As a recorder leaves it that is killed.
                file.write(b'{"at": "' + b"x" * 70_000)
        with recording(tmp_path / "last", old, recorded) as recorder:
            ask(recorder, "GET", "/services.php")
        assert len(lines_of(recorded)) == 3
        other, link = tmp_path / "other", tmp_path / "link"
        other.write_text("mine\n")
        os.symlink(recorded, link)
        for wrong in (other, link):
            told = subprocess.run(
                [*COMMAND, "parity", "record", "--upstream", old, "--to", str(wrong)],
                env=environment(tmp_path, CMS_DATA_DIR=str(tmp_path / "data")),
                capture_output=True,
                text=True,
                check=False,
            )
            assert told.returncode == 2 and "Can't record" in told.stderr
        assert other.read_text() == "mine\n"
