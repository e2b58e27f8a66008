"""Following a log while it is written, and downloading it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, insert

from cms_services.clock import now, to_wire
from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogBlock, LogEntry
from cms_services.monitoring.logs.storing import insert_entries
from cms_services.monitoring.logs.terms import terms_of
from cms_services.web import feeds, log_streams
from cms_services.web.log_streams import LogFeed
from cms_services.web.stopping import stopping
from tests.people import Person, data_of, error_of
from tests.streaming import following

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
on_servers = pytest.mark.parametrize("database_kind", ["postgresql", "mariadb"], indirect=True)


@pytest.fixture
def service(alice: Person) -> str:
    return str(alice.new_service()["id"])


@pytest.fixture
def path(service: str) -> str:
    return f"/api/services/{service}/logs"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogFeed, "look_seconds", 0.02)


def send(person: Person, path: str, *messages: str, **fields: Any) -> None:
    entries = [{"level": "info", "message": each} | fields for each in messages]
    assert data_of(person.post(path, json={"entries": entries}), 202)["rejected"] == []


def entry_of(service: str, message: str) -> dict[str, Any]:
    return {"service_id": service, "client_id": None, "at": now(), "level": "info",
            "message": message, "source": "", "attributes": {}, "trace_id": None,
            "terms": terms_of(message, {}), "size": len(message)}  # fmt: skip


@contextmanager
def stored_late(app: Flask, service: str, message: str) -> Iterator[Any]:
    """An entry that has its number, and that nobody sees before the transaction commits."""
    with app.app_context(), db.engine.connect() as connection:
        insert_entries(connection, service, [entry_of(service, message)])
        yield connection


def store_under(app: Flask, service: str, *numbers: int) -> None:
    """A block of entries under these numbers, as where two are stored at the same moment."""
    entries = [entry_of(service, str(each)) | {"id": each} for each in numbers]
    block = {"service_id": service, "first_id": numbers[0], "last_id": numbers[-1],
             "first_at": now(), "last_at": now(), "terms": ""}  # fmt: skip
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(insert(LogEntry), entries)
        connection.execute(insert(LogBlock), block)


def messages_of(part: bytes) -> list[str]:
    """The message of each event in a part of a tail."""
    data = [line for line in part.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(each.removeprefix("data: "))["message"] for each in data]


def place_of(part: bytes) -> dict[str, str]:
    """The header by which a reader of a part comes back."""
    (told,) = [line for line in part.decode().split("\n") if line.startswith("id: ")]
    return {"Last-Event-ID": told.removeprefix("id: ")}


class TestFollowing:
    def test_what_is_stored_from_then_on_comes_in_order_and_once(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        send(alice, path, "before")
        other = f"/api/services/{alice.new_service()['id']}/logs"
        with following(app, alice, f"{path}/tail") as parts:
            send(alice, other, "another service's")
            send(alice, path, "first", "second")
            assert next(parts).startswith(b": ")
            assert messages_of(next(parts)) == ["first", "second"]
            send(alice, path, "late", timestamp=to_wire(now() - timedelta(days=2)))
            assert messages_of(next(parts)) == ["late"]

    def test_all_who_follow_are_told(self, app: Flask, alice: Person, path: str) -> None:
        found = []
        with ExitStack() as stack:
            tails = [
                stack.enter_context(
                    following(app, alice, f"{path}/tail", query_string={"q": q} if q else {})
                )
                for q in ("", "", "odd", "even")
            ]
            for number in range(4):
                send(alice, path, f"{'odd' if number % 2 else 'even'} {number}")
            for tail, count in zip(tails, (4, 4, 2, 2), strict=True):
                next(tail)
                seen: list[str] = []
                while len(seen) < count:
                    seen += messages_of(next(tail))
                found.append(seen)
        everything = ["even 0", "odd 1", "even 2", "odd 3"]
        assert found == [everything, everything, everything[1::2], everything[::2]]

    def test_filters_narrow_it(self, app: Flask, alice: Person, path: str) -> None:
        query = {"level": "warn", "q": "time -slow", "attribute": "a:1"}
        with following(app, alice, f"{path}/tail", query_string=query) as parts:
            send(alice, path, "time", level="info", attributes={"a": 1})
            send(alice, path, "timeout", "time slow", level="warn", attributes={"a": 1})
            send(alice, path, "timeout 2", level="error", attributes={"a": 2})
            next(parts)
            assert messages_of(next(parts)) == ["timeout"]
            send(alice, path, "timeout 3", level="error", attributes={"a": 1})
            assert messages_of(next(parts)) == ["timeout 3"]

    def test_an_entry_among_the_numbers_of_two_blocks_comes_once(
        self, app: Flask, alice: Person, service: str, path: str
    ) -> None:
        with following(app, alice, f"{path}/tail") as parts:
            next(parts)
            # From here on it is told by looks.
            send(alice, path, "before")
            next(parts)
            store_under(app, service, 11, 13)
            assert messages_of(next(parts)) == ["11", "13"]
            store_under(app, service, 12, 14)
            assert messages_of(next(parts)) == ["12", "14"]

    def test_words_that_nothing_can_have_find_nothing(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        query = {"q": "---", "until": to_wire(now() + timedelta(seconds=0.5))}
        with following(app, alice, f"{path}/tail", query_string=query) as parts:
            send(alice, path, "---")
            assert len(list(parts)) == 1

    @on_sqlite
    def test_it_is_told_that_it_is_alive_while_nothing_comes(
        self, app: Flask, alice: Person, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feeds, "_HEARTBEAT_SECONDS", 0.1)
        with following(app, alice, f"{path}/tail") as parts:
            next(parts)
            assert next(parts) == b": still here\n\n"

    @on_sqlite
    def test_one_caller_has_a_bounded_number(
        self, app: Flask, alice: Person, bob: Person, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feeds, "_MOST_OF_ONE", 1)
        with following(app, alice, f"{path}/tail") as parts:
            send(alice, path, "one")
            next(parts)
            next(parts)
            refused = alice.get(f"{path}/tail")
            error_of(refused, 503, "NOT_READY")
            assert int(refused.headers["Retry-After"]) > 0
            his = f"/api/services/{bob.new_service()['id']}/logs"
            assert bob.get(f"{his}/tail?until={to_wire(now())}").status_code == 200


class TestComingBack:
    def test_a_reader_that_was_cut_off_goes_on_where_it_was(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        with following(app, alice, f"{path}/tail") as parts:
            next(parts)
            send(alice, path, "first", "second")
            place = place_of(next(parts))
        other = f"/api/services/{alice.new_service()['id']}/logs"
        for number in range(20):
            send(alice, other, f"another service's {number}")
            send(alice, path, f"meanwhile {number}")
        with following(app, alice, f"{path}/tail", headers=place) as parts:
            send(alice, path, "then")
            next(parts)
            seen: list[str] = []
            while "then" not in seen:
                part = next(parts)
                seen += messages_of(part)
                # Each part says where its reader may go on.
                place_of(part)
            assert seen == [*(f"meanwhile {number}" for number in range(20)), "then"]

    @on_sqlite
    def test_whoever_missed_too_much_is_told_to_read_anew(
        self, app: Flask, alice: Person, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log_streams, "_MOST_MISSED", 1)
        for message in ("first", "second"):
            send(alice, path, message)
        with following(app, alice, f"{path}/tail", headers={"Last-Event-ID": "0"}) as parts:
            next(parts)
            assert next(parts).endswith(b"\nevent: reset\ndata: {}\n\n")
            send(alice, path, "third")
            assert messages_of(next(parts)) == ["third"]

    @on_sqlite
    @pytest.mark.parametrize("told", ["never", "1-", "1-2,", "1" * 30, "-1"])
    def test_a_place_that_is_none_is_the_end(
        self, app: Flask, alice: Person, path: str, told: str
    ) -> None:
        send(alice, path, "before")
        with following(app, alice, f"{path}/tail", headers={"Last-Event-ID": told}) as parts:
            next(parts)
            send(alice, path, "after")
            assert messages_of(next(parts)) == ["after"]

    @on_sqlite
    def test_a_reader_that_is_too_slow_is_let_go_and_comes_back_for_the_rest(
        self, app: Flask, alice: Person, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feeds, "_MOST_QUEUED", 1)
        with (
            following(app, alice, f"{path}/tail") as slow,
            following(app, alice, f"{path}/tail") as quick,
        ):
            next(slow), next(quick)
            send(alice, path, "first")
            first = next(slow)
            assert messages_of(first) == messages_of(next(quick)) == ["first"]
            for message in ("second", "third"):
                send(alice, path, message)
                assert messages_of(next(quick)) == [message]
            assert list(slow) == []
        with following(app, alice, f"{path}/tail", headers=place_of(first)) as parts:
            next(parts)
            assert messages_of(next(parts)) == ["second", "third"]

    @on_sqlite
    def test_numbers_that_are_given_again_are_noticed(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        """SQLite does that where the newest rows were deleted."""
        with following(app, alice, f"{path}/tail") as parts:
            next(parts)
            send(alice, path, "first")
            place = place_of(next(parts))
            with app.app_context(), db.engine.begin() as connection:
                for model in (LogEntry, LogBlock):
                    connection.execute(delete(model))
            assert list(parts) == []
        with following(app, alice, f"{path}/tail", headers=place) as parts:
            next(parts)
            assert b"event: reset" in next(parts)
            send(alice, path, "second")
            assert messages_of(next(parts)) == ["second"]


@on_servers
class TestCommittedLate:
    """Its numbers may be smaller than those of what everybody has seen."""

    def test_whoever_follows_is_told(
        self, app: Flask, alice: Person, service: str, path: str
    ) -> None:
        send(alice, path, "before")
        with stored_late(app, service, "slow") as slow:
            send(alice, path, "quick")
            with following(app, alice, f"{path}/tail") as parts:
                next(parts)
                send(alice, path, "then")
                assert messages_of(next(parts)) == ["then"]
                slow.commit()
                assert messages_of(next(parts)) == ["slow"]
                send(alice, path, "last")
                assert messages_of(next(parts)) == ["last"]

    @pytest.mark.parametrize("when", ["away", "back"])
    def test_whoever_comes_back_is_told(
        self, app: Flask, alice: Person, service: str, path: str, when: str
    ) -> None:
        send(alice, path, "before")
        with stored_late(app, service, "slow") as slow:
            with following(app, alice, f"{path}/tail") as parts:
                next(parts)
                send(alice, path, "quick")
                part = next(parts)
                assert messages_of(part) == ["quick"]
            send(alice, path, "missed")
            if when == "away":
                slow.commit()
            with following(app, alice, f"{path}/tail", headers=place_of(part)) as parts:
                next(parts)
                if when == "away":
                    assert messages_of(next(parts)) == ["slow", "missed"]
                else:
                    assert messages_of(next(parts)) == ["missed"]
                    slow.commit()
                    assert messages_of(next(parts)) == ["slow"]
                send(alice, path, "last")
                assert messages_of(next(parts)) == ["last"]

    def test_what_was_rolled_back_keeps_nobody(
        self, app: Flask, alice: Person, service: str, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feeds, "_LATE_SECONDS", 0.0)
        send(alice, path, "before")
        with stored_late(app, service, "never") as slow:
            send(alice, path, "quick")
            slow.rollback()
        with following(app, alice, f"{path}/tail") as parts:
            next(parts)
            for number in range(3):
                send(alice, path, f"{number}")
                place = place_of(next(parts))
            assert "-" not in place["Last-Event-ID"]


@on_sqlite
class TestEnding:
    @pytest.mark.parametrize("end", ["until", "stop"])
    def test_it_ends(self, app: Flask, alice: Person, path: str, end: str) -> None:
        query = {"until": to_wire(now() + timedelta(seconds=0.3))} if end == "until" else {}
        with following(app, alice, f"{path}/tail", query_string=query) as parts:
            next(parts)
            if end == "stop":
                stopping.set()
            try:
                assert list(parts) == []
            finally:
                stopping.clear()

    @pytest.mark.parametrize("end", ["session", "membership"])
    def test_it_ends_with_the_right_to_read(
        self,
        app: Flask,
        alice: Person,
        bob: Person,
        monkeypatch: pytest.MonkeyPatch,
        end: str,
    ) -> None:
        monkeypatch.setattr(feeds, "_RIGHT_SECONDS", 0.1)
        alice.post("/api/projects", json={"name": "shop"})
        service = alice.new_service(project="shop")
        path = f"/api/services/{service['id']}/logs"
        project = next(p for p in data_of(alice.get("/api/projects")) if p["name"] == "shop")
        member = f"/api/projects/{project['id']}/members/{bob.user_id}"
        data_of(alice.put(member, json={"role": "viewer"}))
        with following(app, bob, f"{path}/tail") as parts:
            next(parts)
            send(alice, path, "seen")
            assert messages_of(next(parts)) == ["seen"]
            if end == "session":
                data_of(bob.post("/api/auth/logout", json={}))
            else:
                data_of(alice.delete(member))
            assert list(parts) == []


class TestDownloading:
    def test_all_entries_of_a_filter_come_as_lines_newest_first(
        self, alice: Person, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log_streams, "_PAGE", 3)
        send(alice, path, *(f"entry {n}" for n in range(8)))
        send(alice, path, "other", level="error", attributes={"a": "\n"}, traceId="t")
        answer = alice.get(f"{path}/export")
        assert answer.mimetype == "application/x-ndjson"
        name = 'attachment; filename="orders-api-logs.ndjson"'
        assert answer.headers["Content-Disposition"].lower() == name
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert lines == data_of(alice.get(path))
        assert len(lines) == 9
        some = alice.get(f"{path}/export?q=entry&level=info").text.splitlines()
        assert [json.loads(line)["message"] for line in some] == [
            f"entry {n}" for n in range(7, -1, -1)
        ]
        assert alice.get(f"{path}/export?q=zeppelin").text == ""
