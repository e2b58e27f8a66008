"""Following events as they happen."""

import json
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from cms_services.clock import now, to_wire
from cms_services.events.models import Event
from cms_services.extensions import db
from cms_services.web import feeds, live
from tests.conftest import MakeApp, NewPerson
from tests.people import Person, data_of, error_of
from tests.streaming import following

STREAM = "/api/events/stream"


def event_of(piece: bytes) -> dict[str, Any]:
    number, _, data = piece.decode().partition("\n")
    event: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert number == f"id: {event['sequence']}"
    return event


def place_of(piece: bytes) -> dict[str, str]:
    """The header of a reader who comes back after a piece."""
    (number,) = [line for line in piece.decode().splitlines() if line.startswith("id: ")]
    return {"Last-Event-ID": number.removeprefix("id: ")}


def newest(person: Person) -> str:
    return str(data_of(person.get("/api/events?limit=500"))[-1]["sequence"])


class TestFollowing:
    def test_events_come_as_the_list_has_them(self, app: Flask, alice: Person) -> None:
        made = alice.new_service()
        headers = {"Last-Event-ID": newest(alice)}
        with following(app, alice, STREAM, headers=headers) as pieces:
            assert next(pieces).startswith(b": connected")
            data_of(alice.post(f"/api/services/{made['id']}/suspend"))
            told = event_of(next(pieces))
            assert told == data_of(alice.get("/api/events?limit=500"))[-1]
            assert told["data"]["serviceId"] == made["serviceId"]
            data_of(alice.post(f"/api/services/{made['id']}/resume"))
            assert event_of(next(pieces))["type"] == "service.activated"

    def test_whoever_comes_back_is_sent_what_was_missed(self, app: Flask, alice: Person) -> None:
        made = alice.new_service()
        last = newest(alice)
        for verb in ("suspend", "resume"):
            data_of(alice.post(f"/api/services/{made['id']}/{verb}"))
        answer = alice.get(f"{STREAM}?until={to_wire(now())}", headers={"Last-Event-ID": last})
        types = [event_of(piece)["type"] for piece in answer.data.split(b"\n\n")[1:-1]]
        assert types == ["service.deactivated", "service.activated"]

    def test_whoever_missed_too_much_is_told_to_read_anew(
        self, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "_MOST_MISSED", 1)
        for _ in range(2):
            alice.new_service()
        answer = alice.get(f"{STREAM}?until={to_wire(now())}", headers={"Last-Event-ID": "0"})
        assert answer.data.endswith(b"event: reset\ndata: {}\n\n")
        *_, reset, _ = answer.data.split(b"\n\n")
        again = alice.get(f"{STREAM}?until={to_wire(now())}", headers=place_of(reset))
        assert b"data:" not in again.data

    def test_whoever_is_beyond_the_end_is_told_to_read_anew(
        self, app: Flask, alice: Person
    ) -> None:
        """The database lost its last moments, and gives their numbers again."""
        made = alice.new_service()
        ahead = str(int(newest(alice)) + 5)
        with following(app, alice, STREAM, headers={"Last-Event-ID": ahead}) as pieces:
            # Should it be cut off here, it comes back with what it came with.
            assert place_of(next(pieces)) == {"Last-Event-ID": ahead}
            reset = next(pieces)
            assert reset.endswith(b"event: reset\ndata: {}\n\n")
            data_of(alice.post(f"/api/services/{made['id']}/suspend"))
            assert event_of(next(pieces))["type"] == "service.deactivated"
        place = place_of(reset)["Last-Event-ID"].partition("-")[0]
        assert int(place) < int(ahead)

    def test_whoever_was_cut_off_before_the_first_event_misses_none(
        self, app: Flask, alice: Person
    ) -> None:
        """The stream says at once where its reader is."""
        made = alice.new_service()
        with following(app, alice, STREAM) as pieces:
            place = place_of(next(pieces))
        data_of(alice.post(f"/api/services/{made['id']}/suspend"))
        answer = alice.get(f"{STREAM}?until={to_wire(now())}", headers=place)
        (piece,) = answer.data.split(b"\n\n")[1:-1]
        assert event_of(piece)["type"] == "service.deactivated"

    @pytest.mark.parametrize("database_kind", ["postgresql", "mariadb"], indirect=True)
    def test_an_event_that_is_committed_late_comes_to_all_who_follow(
        self, app: Flask, alice: Person
    ) -> None:
        """To who followed before its transaction began, and who came while it was open."""
        made = alice.new_service()
        event = {"type": "slow", "subject": made["id"], "owner_id": alice.user_id, "data": {}}
        with (
            app.app_context(),
            db.engine.connect() as slow,
            following(app, alice, STREAM) as early,
        ):
            next(early)
            slow.execute(insert(Event), [event])
            for verb in ("suspend", "resume"):
                data_of(alice.post(f"/api/services/{made['id']}/{verb}"))
                assert b"service." in next(early)
            with following(app, alice, STREAM) as late:
                next(late)
                slow.commit()
                assert b'"type":"slow"' in next(early)
                assert b'"type":"slow"' in next(late)

    @pytest.mark.parametrize("database_kind", ["postgresql", "mariadb"], indirect=True)
    def test_whoever_comes_back_is_sent_what_was_committed_late(
        self, app: Flask, alice: Person
    ) -> None:
        """Its number is smaller than that of the last event that the reader got."""
        made = alice.new_service()
        headers = {"Last-Event-ID": newest(alice)}
        event = {"type": "slow", "subject": made["id"], "owner_id": alice.user_id, "data": {}}
        with app.app_context(), db.engine.connect() as slow:
            slow.execute(insert(Event), [event])
            with following(app, alice, STREAM, headers=headers) as pieces:
                next(pieces)
                data_of(alice.post(f"/api/services/{made['id']}/suspend"))
                told, _, _ = next(pieces).decode().partition("\n")
            slow.commit()
        headers = {"Last-Event-ID": told.removeprefix("id: ")}
        with following(app, alice, STREAM, headers=headers) as pieces:
            next(pieces)
            data_of(alice.post(f"/api/services/{made['id']}/resume"))
            assert b'"type":"slow"' in next(pieces)
            assert event_of(next(pieces))["type"] == "service.activated"

    def test_it_ends_when_it_is_said_to(self, app: Flask, alice: Person) -> None:
        until = to_wire(now() + timedelta(seconds=0.5))
        with following(app, alice, STREAM, query_string={"until": until}) as pieces:
            assert len(list(pieces)) == 1

    def test_an_odd_time_is_refused(self, alice: Person) -> None:
        assert (
            "until"
            in error_of(alice.get(f"{STREAM}?until=soon"), 400, "VALIDATION_ERROR")["details"]
        )

    @pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
    def test_one_caller_has_a_bounded_number(
        self, app: Flask, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feeds, "_MOST_OF_ONE", 1)
        with following(app, alice, STREAM, headers={"Last-Event-ID": "0"}) as pieces:
            next(pieces)
            next(pieces)
            error_of(alice.get(STREAM), 503, "NOT_READY")
            assert bob.get(f"{STREAM}?until={to_wire(now())}").status_code == 200


class TestWhoSeesWhat:
    def test_members_see_services_of_their_projects_and_strangers_nothing(
        self, app: Flask, alice: Person, bob: Person, new_person: NewPerson
    ) -> None:
        made = alice.new_service(project="shared")
        (project,) = data_of(alice.get("/api/projects"))
        member = f"/api/projects/{project['id']}/members/{bob.user_id}"
        data_of(alice.put(member, json={"role": "viewer"}))
        stranger = new_person("Charlie")
        last = newest(alice)
        data_of(alice.post(f"/api/services/{made['id']}/suspend"))
        until = to_wire(now())
        seen = {
            who.email: who.get(f"{STREAM}?until={until}", headers={"Last-Event-ID": last}).data
            for who in (alice, bob, stranger)
        }
        assert b"service.deactivated" in seen[alice.email]
        assert b"service.deactivated" in seen[bob.email]
        assert b"data:" not in seen[stranger.email]

    def test_whoever_signs_out_follows_no_longer(
        self, app: Flask, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feeds, "_RIGHT_SECONDS", 0.05)
        with following(app, alice, STREAM) as pieces:
            assert next(pieces).startswith(b": connected")
            assert alice.post("/api/auth/logout").status_code in (200, 204)
            assert list(pieces) == []


class TestSeveralNodes:
    @pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
    def test_redis_wakes_the_others(
        self,
        make_app: MakeApp,
        new_person: NewPerson,
        redis_url: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """They would look by themselves only after a minute here."""
        monkeypatch.setattr(live.EventFeed, "look_seconds", 60.0)
        one, other = make_app(REDIS_URL=redis_url), make_app(REDIS_URL=redis_url)
        alice = new_person("Alice", of=one)
        there = Person(other.test_client(), alice.user_id, alice.email, alice.token)
        made = alice.new_service()
        with following(other, there, STREAM, headers={"Last-Event-ID": newest(alice)}) as pieces:
            assert next(pieces).startswith(b": connected")
            with ThreadPoolExecutor(1) as thread:
                coming = thread.submit(next, pieces)
                # Until it is heard, as with a node that has only just begun to follow.
                for verb in ("suspend", "resume") * 20:
                    data_of(alice.post(f"/api/services/{made['id']}/{verb}"))
                    if wait([coming], 0.2).done:
                        break
                assert event_of(coming.result(5))["subject"] == made["id"]
