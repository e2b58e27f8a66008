"""Who reads which entries, in the list and in the export, which follow the same rules."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from cms_services.actor import SYSTEM
from cms_services.audit.trail import record
from cms_services.clock import fixed_at
from cms_services.extensions import db
from cms_services.vocabulary import EventType, Role
from cms_services.web import audit_export
from tests.audit.trails import entry, write
from tests.conftest import NewPerson
from tests.people import Person, data_of, error_of


def listed(person: Person) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = data_of(person.get("/api/audit?limit=500"))
    return entries[::-1]


def exported(person: Person, query: str = "") -> list[dict[str, Any]]:
    """What the export gives, in the shape of the list."""
    answer = person.get(f"/api/audit/export?{query}")
    assert answer.status_code == 200, answer.text
    entries = [orjson.loads(line) for line in answer.data.splitlines()]
    for each in entries:
        del each["mac"]
    return entries


Read = Callable[[Person], list[dict[str, Any]]]
BOTH = pytest.mark.parametrize("read", [listed, exported])


def new_project(owner: Person, name: str, *members: tuple[Person, str]) -> str:
    """A project with some members; its id."""
    project_id = str(data_of(owner.post("/api/projects", json={"name": name}), 201)["id"])
    for member, role in members:
        path = f"/api/projects/{project_id}/members/{member.user_id}"
        data_of(owner.put(path, json={"role": role}))
    return project_id


def told(entries: list[dict[str, Any]], target_id: str) -> list[tuple[str, str]]:
    """Who did what to something."""
    return [(e["actorName"], e["action"]) for e in entries if e["targetId"] == target_id]


@BOTH
class TestVisibility:
    def test_owners_of_a_project_see_its_entries_whoever_acted(
        self, alice: Person, bob: Person, charlie: Person, new_person: NewPerson, read: Read
    ) -> None:
        dora = new_person("Dora")
        parts = ((bob, "owner"), (charlie, "editor"), (dora, "viewer"))
        project_id = new_project(alice, "shop", *parts)
        other = new_project(alice, "other")
        data_of(charlie.patch(f"/api/projects/{project_id}", json={"description": "by Charlie"}))
        all_of_it = [
            ("Alice", "project.created"),
            *[("Alice", "project.member_set")] * 3,
            ("Charlie", "project.updated"),
        ]
        assert told(read(alice), project_id) == all_of_it
        assert told(read(bob), project_id) == all_of_it
        assert told(read(charlie), project_id) == all_of_it[-1:]
        assert told(read(dora), project_id) == []
        assert told(read(bob), other) == []

    def test_who_is_no_owner_any_more_sees_no_more(
        self, alice: Person, bob: Person, read: Read
    ) -> None:
        project_id = new_project(alice, "shop", (bob, "owner"))
        assert told(read(bob), project_id)
        data_of(alice.delete(f"/api/projects/{project_id}/members/{bob.user_id}"))
        assert told(read(bob), project_id) == []

    def test_a_part_in_a_project_opens_no_entries_of_its_services(
        self, alice: Person, bob: Person, read: Read
    ) -> None:
        new_project(alice, "shop", (bob, "owner"))
        service = alice.new_service(project="shop")
        assert told(read(alice), service["id"]) == [("Alice", "service.created")]
        assert told(read(bob), service["id"]) == []

    def test_something_else_with_a_projects_id_is_not_the_project(
        self, app: Flask, alice: Person, bob: Person, read: Read
    ) -> None:
        project_id = new_project(alice, "shop")
        with app.app_context():
            record(SYSTEM, EventType.SERVICE_UPDATED, "service", project_id, bob.user_id)
            db.session.commit()
        assert told(read(alice), project_id) == [("Alice", "project.created")]

    def test_from_where_others_came_is_for_admins(
        self, alice: Person, bob: Person, admin: Person, read: Read
    ) -> None:
        new_project(alice, "shop", (bob, "editor"))
        service = alice.new_service(project="shop")
        path = f"/api/services/{service['id']}"
        data_of(bob.patch(path, json={"name": "by Bob"}))
        data_of(admin.post(f"{path}/suspend"))

        def addresses(person: Person) -> list[str | None]:
            return [e["address"] for e in read(person) if e["targetId"] == service["id"]]

        assert addresses(alice) == ["127.0.0.1", None, None]
        assert addresses(bob) == ["127.0.0.1"]
        assert addresses(admin) == ["127.0.0.1"] * 3

    def test_what_the_application_did_by_itself_is_shown_to_the_owner(
        self, app: Flask, alice: Person, admin: Person, charlie: Person, read: Read
    ) -> None:
        service = alice.new_service()
        path = f"/api/services/{service['id']}"
        data_of(admin.post(f"{path}/suspend"))
        of_it = [("Alice", "service.created"), ("Ada", "service.deactivated")]
        assert told(read(alice), service["id"]) == told(read(admin), service["id"]) == of_it
        assert told(read(charlie), service["id"]) == []


class TestExport:
    def test_it_is_a_file_of_lines(self, alice: Person) -> None:
        service = alice.new_service()
        answer = alice.get("/api/audit/export")
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.ndjson"'
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.data.endswith(b"\n")
        (line,) = [orjson.loads(line) for line in answer.data.splitlines()]
        assert line["targetId"] == service["id"]

    def test_each_line_has_the_code_that_the_chain_has(
        self, app: Flask, alice: Person, admin: Person
    ) -> None:
        alice.new_service()
        lines = [orjson.loads(line) for line in admin.get("/api/audit/export").data.splitlines()]
        assert [line["mac"] for line in lines] == [
            entry(app, int(line["id"]))["mac"] for line in lines
        ]

    def test_it_has_what_the_list_has(self, alice: Person, admin: Person) -> None:
        for name in "abc":
            alice.new_service(name=name, configuration={"environment": {"A": "1"}})
        assert exported(alice) == listed(alice)
        assert exported(admin) == listed(admin)

    def test_it_is_read_in_batches_and_holds_no_connection_between_them(
        self, app: Flask, admin: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_export, "_BATCH", 2)
        write(app, 5)
        before = len(listed(admin))
        answer = admin.get("/api/audit/export", buffered=False)
        chunks = []
        with app.app_context():
            pool = db.engine.pool
        for chunk in answer.iter_encoded():
            chunks.append(chunk)
            assert pool.checkedout() == 0  # type: ignore[attr-defined]
            # What is written meanwhile does not belong to it.
            write(app)
        lines = b"".join(chunks).splitlines()
        assert len(lines) == before
        assert len(chunks) == (before + 1) // 2
        ids = [int(orjson.loads(line)["id"]) for line in lines]
        assert ids == sorted(set(ids))
        answer.close()

    def test_times_narrow_it(self, alice: Person) -> None:
        start = datetime.now(UTC) + timedelta(hours=1)
        for hours in range(3):
            with fixed_at(start + timedelta(hours=hours)):
                alice.new_service(name=f"Service {hours}")

        def names(**times: datetime) -> list[str]:
            query = "&".join(f"{n}={t.isoformat().replace('+', '%2B')}" for n, t in times.items())
            return [e["changes"]["after"]["name"][-1:] for e in exported(alice, query)]

        second, third = start + timedelta(hours=1), start + timedelta(hours=2)
        assert names() == ["0", "1", "2"]
        assert names(since=second) == ["1", "2"]
        assert names(until=second) == ["0"]
        assert names(since=second, until=third) == ["1"]

    def test_a_trail_without_entries_is_an_empty_file(self, charlie: Person) -> None:
        answer = charlie.get("/api/audit/export")
        assert (answer.status_code, answer.data) == (200, b"")

    @pytest.mark.parametrize("query", ["since=noon", "limit=1", "targetId=x", "since=2030-01-01"])
    def test_a_broken_rule_is_named(self, alice: Person, query: str) -> None:
        error = error_of(alice.get(f"/api/audit/export?{query}"), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == [query.partition("=")[0]]

    def test_nobody_and_guests_get_nothing(
        self, client: FlaskClient, new_person: NewPerson
    ) -> None:
        error_of(client.get("/api/audit/export"), 401, "UNAUTHENTICATED")
        guest = new_person("Gus", Role.GUEST)
        error_of(guest.get("/api/audit/export"), 403, "FORBIDDEN")

    def test_it_stands_in_the_document(self, client: FlaskClient) -> None:
        document = client.get("/api/openapi.json").json
        validate(document)
        described = document["paths"]["/api/audit/export"]["get"]
        assert list(described["responses"]["200"]["content"]) == ["application/x-ndjson"]
        assert {p["name"] for p in described["parameters"]} == {"since", "until"}
