"""Following a log while it is written, and downloading it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select

from cms_services.clock import now, to_wire
from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogEntry
from cms_services.web import log_streams
from cms_services.web.stopping import stopping
from tests.conftest import MakeApp, NewPerson
from tests.people import Person, data_of, error_of

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def path(alice: Person) -> str:
    return f"/api/services/{alice.new_service()['id']}/logs"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_streams, "_POLL_SECONDS", 0.02)


def send(person: Person, path: str, *messages: str, **fields: Any) -> None:
    entries = [{"level": "info", "message": each} | fields for each in messages]
    assert data_of(person.post(path, json={"entries": entries}), 202)["rejected"] == []


@contextmanager
def following(app: Flask, person: Person, path: str, **sent: Any) -> Iterator[Iterator[bytes]]:
    """The parts of a tail, by a client of its own in a thread of its own, as a server has it."""
    who = Person(app.test_client(), person.user_id, person.email, person.token)
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(who.get, f"{path}/tail", **sent).result()
        assert answer.status_code == 200, answer.text
        assert answer.mimetype == "text/event-stream"
        parts = iter(answer.response)
        try:
            yield iter(lambda: thread.submit(next, parts, None).result(), None)
        finally:
            thread.submit(answer.close).result()


def events_of(part: bytes) -> list[tuple[str, str]]:
    """The id and the message of each event in a part of a tail."""
    found = []
    for event in part.decode().split("\n\n"):
        if event.startswith("id: "):
            number, _, data = event.partition("\n")
            found.append((number[4:], json.loads(data.removeprefix("data: "))["message"]))
    return found


def messages_of(part: bytes) -> list[str]:
    return [message for _, message in events_of(part)]


class TestFollowing:
    def test_what_is_stored_from_then_on_comes_in_order_and_once(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        send(alice, path, "before")
        other = f"/api/services/{alice.new_service()['id']}/logs"
        with following(app, alice, path) as parts:
            assert next(parts).startswith(b": ")
            send(alice, other, "another service's")
            send(alice, path, "first", "second")
            assert messages_of(next(parts)) == ["first", "second"]
            send(alice, path, "late", timestamp=to_wire(now() - timedelta(days=2)))
            assert messages_of(next(parts)) == ["late"]

    @pytest.mark.parametrize("database_kind", ["postgresql", "mariadb"], indirect=True)
    def test_what_is_committed_late_comes_too(self, app: Flask, alice: Person, path: str) -> None:
        """Its id may be smaller than that of what was there when the tail began."""
        send(alice, path, "model")
        with app.app_context(), db.engine.connect() as slow:
            table = LogEntry.__table__
            (model,) = slow.execute(select(table).where(table.c.message == "model"))
            row = dict(model._mapping) | {"message": "slow"}
            del row["id"]
            slow.execute(insert(table).values(**row))
            send(alice, path, "quick")
            with following(app, alice, path) as parts:
                next(parts)
                slow.commit()
                assert messages_of(next(parts)) == ["slow"]

    def test_filters_narrow_it(self, app: Flask, alice: Person, path: str) -> None:
        query = {"level": "warn", "q": "time -slow", "attribute": "a:1"}
        with following(app, alice, path, query_string=query) as parts:
            send(alice, path, "time", level="info", attributes={"a": 1})
            send(alice, path, "timeout", "time slow", level="warn", attributes={"a": 1})
            send(alice, path, "timeout 2", level="error", attributes={"a": 2})
            next(parts)
            assert messages_of(next(parts)) == ["timeout"]
            send(alice, path, "timeout 3", level="error", attributes={"a": 1})
            assert messages_of(next(parts)) == ["timeout 3"]

    def test_a_reader_that_was_cut_off_goes_on_where_it_was(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        with following(app, alice, path) as parts:
            next(parts)
            send(alice, path, "first", "second", "third")
            (first, _), *_ = events_of(next(parts))
        send(alice, path, "meanwhile")
        with following(app, alice, path, headers={"Last-Event-ID": first}) as parts:
            next(parts)
            assert messages_of(next(parts)) == ["second", "third", "meanwhile"]

    @on_sqlite
    def test_it_is_told_that_it_is_alive_while_nothing_comes(
        self, app: Flask, alice: Person, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log_streams, "_HEARTBEAT_SECONDS", 0.1)
        with following(app, alice, path) as parts:
            next(parts)
            assert next(parts) == b": still here\n\n"

    @on_sqlite
    @pytest.mark.parametrize("end", ["until", "time", "stop"])
    def test_it_ends(
        self, app: Flask, alice: Person, path: str, monkeypatch: pytest.MonkeyPatch, end: str
    ) -> None:
        query = {}
        if end == "until":
            query = {"until": to_wire(now())}
        elif end == "time":
            monkeypatch.setattr(log_streams, "_LONGEST_SECONDS", 0.1)
        with following(app, alice, path, query_string=query) as parts:
            next(parts)
            if end == "stop":
                stopping.set()
            try:
                assert list(parts) == []
            finally:
                stopping.clear()

    @on_sqlite
    @pytest.mark.parametrize("end", ["session", "membership"])
    def test_it_ends_with_the_right_to_read(
        self,
        app: Flask,
        alice: Person,
        bob: Person,
        monkeypatch: pytest.MonkeyPatch,
        end: str,
    ) -> None:
        monkeypatch.setattr(log_streams, "_RIGHT_SECONDS", 0.1)
        alice.post("/api/projects", json={"name": "shop"})
        service = alice.new_service(project="shop")
        path = f"/api/services/{service['id']}/logs"
        project = next(p for p in data_of(alice.get("/api/projects")) if p["name"] == "shop")
        member = f"/api/projects/{project['id']}/members/{bob.user_id}"
        data_of(alice.put(member, json={"role": "viewer"}))
        with following(app, bob, path) as parts:
            next(parts)
            send(alice, path, "seen")
            assert messages_of(next(parts)) == ["seen"]
            if end == "session":
                data_of(bob.post("/api/auth/logout", json={}))
            else:
                data_of(alice.delete(member))
            assert list(parts) == []

    @on_sqlite
    def test_only_so_many_hold_a_thread(self, make_app: MakeApp, new_person: NewPerson) -> None:
        app = make_app(WEB_THREADS="8")
        alice = new_person("Anna", of=app)
        path = f"/api/services/{alice.new_service()['id']}/logs"
        with following(app, alice, path), following(app, alice, path):
            refused = alice.get(f"{path}/tail")
            error_of(refused, 503, "NOT_READY")
            assert int(refused.headers["Retry-After"]) > 0
        with following(app, alice, path) as parts:
            next(parts)


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
