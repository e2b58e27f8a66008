"""Syslog (RFC 5424) by UDP and TCP, as the worker takes it."""

import asyncio
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from sqlalchemy.exc import ProgrammingError

from cms_services.monitoring.protocols.syslog import Message, read_message
from cms_services.worker.syslog import take_syslog_until
from cms_services.worker.syslog_storing import Outcome, Storing
from tests.conftest import MakeApp
from tests.local_servers import free_port
from tests.monitoring.agents import Reporter
from tests.people import Person

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
EXAMPLE = (
    b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473"
    b' iut="3" eventSource="Application" eventID="1011"][cms@32473 token="cms_ingest_x"]'
    b" \xef\xbb\xbfAn event"
)


def now() -> str:
    return datetime.now(UTC).isoformat()


@pytest.mark.parametrize("token", ["", "x", "cms_pat_abc", "cms_ingest_" + "x" * 90])
def test_what_is_no_ingest_token_counts_as_none(token: str) -> None:
    raw = f'<14>1 - web-1 shop - - [cms@32473 token="{token}"] hello'.encode()
    assert read_message(raw).token is None


def message(reporter: Reporter, text: str, priority: int = 14, app: str = "shop") -> bytes:
    data = f'[cms@32473 token="{reporter.token}"]'
    return f"<{priority}>1 {now()} web-1 {app} 42 - {data} {text}".encode()


class Listening:
    """A worker that takes syslog at one port, by UDP and by TCP."""

    def __init__(self, app: Flask, port: int) -> None:
        self._app, self._address = app, ("127.0.0.1", port)
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._thread.is_alive():
            try:
                self.connect().close()
                return
            except ConnectionRefusedError:
                time.sleep(0.02)
        raise AssertionError("It does not listen.")

    def stop(self) -> None:
        """Tell it to stop, and wait until it has stored what arrived."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(self._address, timeout=20)

    def send(self, *datagrams: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for each in datagrams:
                sender.sendto(each, self._address)

    def stream(self, data: bytes) -> None:
        """Send on a connection of its own, and wait until the other end has read it."""
        with self.connect() as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""

    @property
    def port(self) -> int:
        return self._address[1]

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(take_syslog_until(self._app, self._stop))
        finally:
            self._loop.close()


@contextmanager
def listening(make_app: MakeApp) -> Iterator[Listening]:
    port = free_port()
    at = f"127.0.0.1:{port}"
    made = Listening(make_app(SYSLOG_LISTEN=f"udp://{at},tcp://{at}"), port)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def reporter(alice: Person) -> Reporter:
    return Reporter(alice)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("cms_syslog_messages_total", {"outcome": outcome}) or 0


def wait_for(reporter: Reporter, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(reporter.entries()) < count:
        assert time.monotonic() < deadline, f"{len(reporter.entries())} of {count} are there."
        time.sleep(0.1)


def tcp_lines(reporter: Reporter) -> int:
    return sum(entry["message"].startswith("tcp ") for entry in reporter.entries())


class TestReading:
    def test_the_example_of_the_rfc(self) -> None:
        read = read_message(EXAMPLE)
        assert read.token == "cms_ingest_x"
        entry = read.entry
        assert (entry.level, entry.message, entry.source) == ("info", "An event", "evntslog")
        assert entry.at == datetime(2003, 10, 11, 22, 14, 15, 3000, tzinfo=UTC)
        assert entry.attributes == {
            "facility": "local4",
            "hostname": "mymachine.example.com",
            "msgId": "ID47",
            "exampleSDID@32473.iut": "3",
            "exampleSDID@32473.eventSource": "Application",
            "exampleSDID@32473.eventID": "1011",
        }

    def test_least_of_all(self) -> None:
        read = read_message(b"<0>1 - - - - - -")
        assert (read.token, read.entry.at, read.entry.message) == (None, None, "")
        assert (read.entry.level, read.entry.attributes) == ("error", {"facility": "kern"})

    def test_escapes_trace_ids_and_bytes_that_are_no_text(self) -> None:
        raw = b'<15>1 - - a - - [x@1 a="q\\"b\\\\c\\]d" trace_id="abc"][y] \xff] [z'
        read = read_message(raw)
        assert read.entry.attributes["x@1.a"] == 'q"b\\c]d'
        assert (read.entry.trace_id, read.entry.level) == ("abc", "debug")
        assert read.entry.message == "\ufffd] [z"

    @pytest.mark.parametrize("severity", range(8))
    def test_severities(self, severity: int) -> None:
        levels = ["error"] * 4 + ["warn", "info", "info", "debug"]
        assert read_message(b"<%d>1 - - - - - -" % (severity + 8)).entry.level == levels[severity]

    @pytest.mark.parametrize(
        "raw",
        [
            *(b"", b"hello", b"<14>Oct 11 22:14:15 mymachine su: failed", b"<192>1 - - - - - -"),
            *(b"<14>2 - - - - - -", b"<014>1 - - - - - -", b"<14>1 - - - - - ", b"<14>1 - - - -"),
            *(
                b"<14>1 - - - - - [",
                b"<14>1 - - - - - [x",
                b"<14>1 - - - - - []x",
                b"<1>1 - - - - - x",
            ),
            *(b"<14>1 2003-10-11T22:14:15 - - - - -", b"<14>1 2003-13-41T22:14:15Z - - - - -"),
            b"<14>1 0001-01-01T00:00:00+09:00 - - - - -",
            b'<14>1 - - - - - [x a="b]c"] y',
        ],
    )
    def test_what_is_no_message_is_refused(self, raw: bytes) -> None:
        with pytest.raises(ValueError, match=r"I(ts|t has|nvalid|soformat)|month must"):
            read_message(raw)

    @given(st.binary(max_size=80), st.integers(0, 200))
    @example(b'="', 100)
    def test_nothing_else_comes_of_any_bytes(self, noise: bytes, at: int) -> None:
        for raw in (noise, EXAMPLE[:at] + noise + EXAMPLE[at + len(noise) :]):
            try:
                read = read_message(raw)
            except ValueError:
                continue
            assert "\x00" not in read.entry.message


class TestTaking:
    def test_datagrams_and_both_framings_of_streams(
        self, make_app: MakeApp, reporter: Reporter, alice: Person
    ) -> None:
        other = Reporter(alice, name="Other")
        with listening(make_app) as worker:
            worker.send(message(reporter, "by udp", 11), message(other, "of another"))
            counted_one = message(reporter, "two\nlines")
            stream = b"%d %s" % (len(counted_one), counted_one)
            worker.stream(stream + message(reporter, "a line") + b"\n" + stream)
            worker.stream(message(reporter, "without an end"))
            wait_for(reporter, 5)
            wait_for(other, 1)
        told = sorted(entry["message"] for entry in reporter.entries())
        assert told == ["a line", "by udp", "two\nlines", "two\nlines", "without an end"]
        by_udp = next(entry for entry in reporter.entries() if entry["message"] == "by udp")
        assert (by_udp["level"], by_udp["source"]) == ("error", "shop")
        told_of = {"facility": "user", "hostname": "web-1", "procId": "42"}
        assert by_udp["attributes"] == told_of
        assert [entry["message"] for entry in other.entries()] == ["of another"]

    def test_many_come_in_order_and_what_arrived_is_stored_before_it_ends(
        self, make_app: MakeApp, reporter: Reporter
    ) -> None:
        with listening(make_app) as worker:
            lines = [message(reporter, f"number {number}") for number in range(3000)]
            worker.stream(b"\n".join(lines))
        answer = reporter.entries(limit=1000)
        assert answer[0]["message"] == "number 2999"
        stored = {entry["message"] for entry in answer}
        assert stored == {f"number {number}" for number in range(2000, 3000)}

    @on_sqlite
    def test_what_names_no_service_is_dropped_and_counted(
        self, make_app: MakeApp, reporter: Reporter
    ) -> None:
        reasons = ("without token", "wrong token", "unreadable", "bad frame", "stored")
        before = {reason: counted(reason) for reason in reasons}
        good = message(reporter, "good")
        with listening(make_app) as worker:
            wrong = good.replace(reporter.token.encode(), b"cms_ingest_wrong")
            worker.stream(b"\n".join([wrong, b"<14>1 - - - - - - none", b"hello", good]))
            for broken in (
                b"70000 x",
                b"9999999999999 x",
                b"12x ",
                b"<" + b"x" * 70_000,
                b"50 <14",
            ):
                worker.stream(broken)
            wait_for(reporter, 1)
        rose = {reason: counted(reason) - before[reason] for reason in reasons}
        assert rose == dict(zip(reasons, (1, 1, 1, 5, 1), strict=True))
        assert [entry["message"] for entry in reporter.entries()] == ["good"]

    @on_sqlite
    def test_datagrams_that_find_no_room_are_dropped_and_counted(
        self, make_app: MakeApp, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A sender by TCP waits instead."""
        monkeypatch.setattr("cms_services.worker.syslog._MOST_WAITING", 20)
        monkeypatch.setattr("cms_services.worker.syslog._MOST_AT_ONCE", 10)
        dropped = counted("queue full")
        with listening(make_app) as worker:
            lines = b"".join(message(reporter, f"tcp {number}") + b"\n" for number in range(200))
            with worker.connect() as connection:
                connection.sendall(lines)
                deadline = time.monotonic() + 20
                while counted("queue full") == dropped:
                    worker.send(*(message(reporter, f"udp {number}") for number in range(50)))
                    assert time.monotonic() < deadline
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(1) == b""
            deadline = time.monotonic() + 20
            while tcp_lines(reporter) < 200:
                assert time.monotonic() < deadline
                time.sleep(0.1)

    @on_sqlite
    def test_a_batch_that_cannot_be_stored_holds_up_no_others(
        self, make_app: MakeApp, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not for an outage, but as where an upgrade of the schema goes on."""
        stored = Storing.store

        def store(storing: Storing, batch: list[Message], outcome: Outcome) -> None:
            if any("bad" in each.entry.message for each in batch):
                raise ProgrammingError("SELECT", {}, Exception("no such table"))
            stored(storing, batch, outcome)

        monkeypatch.setattr(Storing, "store", store)
        dropped = counted("not storable")
        with listening(make_app) as worker:
            worker.send(message(reporter, "bad"))
            deadline = time.monotonic() + 20
            while counted("not storable") == dropped:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            worker.stream(message(reporter, "good") + b"\n")
            wait_for(reporter, 1)

    @on_sqlite
    def test_a_revoked_token_is_refused_before_long(
        self, make_app: MakeApp, reporter: Reporter, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cms_services.worker.syslog_storing._KNOWN_SECONDS", 0.0)
        with listening(make_app) as worker:
            worker.send(message(reporter, "before"))
            wait_for(reporter, 1)
            (token,) = alice.get(f"{reporter.path}/ingest-tokens").json["data"]
            assert token["lastUsedAt"] is not None
            alice.delete(f"{reporter.path}/ingest-tokens/{token['id']}")
            worker.send(message(reporter, "after"))
        assert [entry["message"] for entry in reporter.entries()] == ["before"]

    @on_sqlite
    def test_an_address_that_another_has_is_taken_over_when_it_is_free(
        self, make_app: MakeApp, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cms_services.worker.syslog._BIND_AGAIN_SECONDS", 0.1)
        with listening(make_app) as first:
            at = f"127.0.0.1:{first.port}"
            second = Listening(make_app(SYSLOG_LISTEN=f"udp://{at},tcp://{at}"), first.port)
            second.start()
            first.stop()
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                with suppress(ConnectionRefusedError):
                    second.stream(message(reporter, "taken over"))
                    break
                time.sleep(0.05)
            second.stop()
        assert [entry["message"] for entry in reporter.entries()] == ["taken over"]

    @on_sqlite
    def test_the_logger_of_util_linux(self, make_app: MakeApp, reporter: Reporter) -> None:
        logger = shutil.which("logger")
        if logger is None:
            pytest.skip("logger is not installed")
        with listening(make_app) as worker:
            for transport in ("--udp", "--tcp"):
                where = [transport, "--server", "127.0.0.1", "--port", str(worker.port)]
                data = ["--sd-id", "cms@32473", "--sd-param", f'token="{reporter.token}"']
                told = ["--tag", "backup", "--priority", "user.warning", f"by {transport}"]
                command = [logger, *where, "--rfc5424", *data, *told]
                subprocess.run(command, check=True, timeout=10)
            wait_for(reporter, 2)
        assert {entry["message"] for entry in reporter.entries()} == {"by --udp", "by --tcp"}
        assert {(e["level"], e["source"]) for e in reporter.entries()} == {("warn", "backup")}
