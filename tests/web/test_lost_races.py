"""Requests that meet others: what the database refuses for that, the application does again."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Thread, current_thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from cms_services.extensions import db
from tests.people import Person, data_of, error_of
from tests.races import answers_of_two_at_once


class Deadlock(Exception):
    """What a driver raises whose database rolled a transaction back for another one."""

    sqlstate = "40P01"


def deadlock(statement: str) -> DBAPIError:
    return OperationalError(statement, {}, Deadlock())


def duplicate(statement: str) -> DBAPIError:
    return IntegrityError(statement, {}, Exception("duplicate key"))


@contextmanager
def refusing(
    app: Flask, beginning: str, error: Callable[[str], DBAPIError], times: int
) -> Iterator[list[int]]:
    """The next so many statements that begin so are refused; gives how many are yet to come."""
    left = [times]

    def refuse(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith(beginning) and left[0] > 0:
            left[0] -= 1
            raise error(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", refuse)
    try:
        yield left
    finally:
        event.remove(engine, "before_cursor_execute", refuse)


def deadlocks(app: Flask, times: int) -> AbstractContextManager[list[int]]:
    """The next so many changes end in a deadlock, by the last statement of all that are audited."""
    return refusing(app, "UPDATE audit_chain", deadlock, times)


def told_of(person: Person, service: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The actions in the audit trail and the events of a service, oldest first."""
    entries = data_of(person.get(f"/api/audit?targetId={service['id']}"))
    events = data_of(person.get(f"/api/events?subject={service['id']}"))
    return [each["action"] for each in reversed(entries)], [each["type"] for each in events]


class TestDoingItAgain:
    def test_a_deadlock_is_nobody_elses_business(self, app: Flask, alice: Person) -> None:
        service = alice.new_service()
        path = f"/api/services/{service['id']}"
        with deadlocks(app, 2) as left:
            changed = data_of(alice.patch(path, json={"name": "other", "tags": ["a"]}))
        assert left == [0]
        assert (changed["name"], changed["tags"], changed["version"]) == ("other", ["a"], 2)
        changes = ["service.created", "service.updated"]
        assert told_of(alice, service) == (changes, changes)

    def test_of_what_the_old_frontend_sends_too(self, app: Flask, alice: Person) -> None:
        service = alice.new_service()
        with deadlocks(app, 1):
            answer = alice.act("updateService", serviceId=service["id"], description="new")
        assert data_of(answer)["description"] == "new"
        changes = ["service.created", "service.updated"]
        assert told_of(alice, service) == (changes, changes)

    def test_what_is_created_with_a_key_is_created_once(self, app: Flask, alice: Person) -> None:
        body, headers = {"name": "A", "type": "api"}, {"Idempotency-Key": "k"}
        with deadlocks(app, 1):
            first = alice.post("/api/services", json=body, headers=headers)
        again = alice.post("/api/services", json=body, headers=headers)
        assert data_of(first, 201) == data_of(again, 201)
        assert len(data_of(alice.get("/api/services"))) == 1

    def test_a_key_may_be_taken_by_one_after_the_other_who_give_up(
        self, app: Flask, alice: Person
    ) -> None:
        body, headers = {"name": "A", "type": "api"}, {"Idempotency-Key": "k"}
        with refusing(app, "INSERT INTO idempotency_keys", duplicate, 3) as left:
            data_of(alice.post("/api/services", json=body, headers=headers), 201)
        assert left == [0]
        with refusing(app, "INSERT INTO idempotency_keys", duplicate, 99):
            answer = alice.post("/api/services", json=body, headers={"Idempotency-Key": "other"})
        error_of(answer, 409, "CONFLICT")
        assert len(data_of(alice.get("/api/services"))) == 1

    def test_each_of_many(self, app: Flask, alice: Person) -> None:
        ids = [alice.new_service()["id"] for _ in range(2)]
        with deadlocks(app, 1):
            answer = alice.post("/api/services/bulk", json={"action": "suspend", "serviceIds": ids})
        assert data_of(answer)["succeeded"] == 2

    def test_without_end_it_is_a_conflict_and_leaves_nothing(
        self, app: Flask, alice: Person
    ) -> None:
        service = alice.new_service()
        path = f"/api/services/{service['id']}"
        with deadlocks(app, 99):
            error = error_of(alice.patch(path, json={"name": "other"}), 409, "CONFLICT")
        assert "try again" in error["message"]
        assert data_of(alice.get(path)) == service
        assert told_of(alice, service) == (["service.created"], ["service.created"])


class TestAtTheSameMoment:
    @pytest.mark.parametrize("door", ["rest", "php"])
    def test_what_is_changed_while_it_moves_is_seen_where_it_moved_to(
        self, app: Flask, alice: Person, bob: Person, door: str
    ) -> None:
        service = alice.new_service(project="north")
        alice.new_service(project="south")
        for project in data_of(alice.get("/api/projects")):
            members = f"/api/projects/{project['id']}/members"
            data_of(alice.post(members, json={"email": bob.email, "role": "editor"}))
        path = f"/api/services/{service['id']}"
        first, second = answers_of_two_at_once(
            app,
            "services",
            lambda: alice.patch(path, json={"project": "south"}),
            lambda: (
                bob.patch(path, json={"description": "new"})
                if door == "rest"
                else bob.act("updateService", serviceId=service["id"], description="new")
            ),
        )
        assert data_of(first)["project"] == data_of(second)["project"] == "south"
        newest = data_of(alice.get(f"/api/audit?targetId={service['id']}"))[0]
        assert newest["changes"]["after"] == {"description": "new"}

    def test_a_read_shows_the_tags_of_the_version_that_it_tells(
        self, app: Flask, alice: Person
    ) -> None:
        service = alice.new_service(tags=["old"])
        path = f"/api/services/{service['id']}"
        changed: list[Any] = []

        def change() -> None:
            changed.append(data_of(alice.patch(path, json={"tags": ["new"], "name": "new"})))

        def watch(_: Any, __: Any, statement: str, *___: Any) -> None:
            if not changed and current_thread() is reader and "FROM services" in statement:
                changer = Thread(target=change)
                changer.start()
                changer.join()

        reader = current_thread()
        with app.app_context():
            engine = db.engine
        event.listen(engine, "after_cursor_execute", watch)
        try:
            seen = data_of(alice.get(path))
        finally:
            event.remove(engine, "after_cursor_execute", watch)
        assert seen == service
        assert data_of(alice.get(path)) == changed[0]
