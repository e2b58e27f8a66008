"""/api/audit and /api/events: what every change leaves behind, and who may read it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cms_services.audit.models import AuditEntry
from cms_services.catalogue import changes
from cms_services.clock import fixed_at
from cms_services.events.models import Event
from cms_services.extensions import db
from cms_services.vocabulary import Role
from tests.conftest import MakeApp, NewPerson
from tests.people import Person, data_of, error_of

SECRET = "hunter2-never-shown"
Change = Callable[[Person, Person, dict[str, Any]], Any]


def audit(person: Person, query: str = "") -> list[dict[str, Any]]:
    """The audit entries that somebody sees, newest first."""
    entries: list[dict[str, Any]] = data_of(person.get(f"/api/audit?limit=500&{query}"))
    return entries


def events(person: Person, query: str = "") -> list[dict[str, Any]]:
    """The events that somebody sees, oldest first."""
    found: list[dict[str, Any]] = data_of(person.get(f"/api/events?limit=500&{query}"))
    return found


def share(owner: Person, project: str, member: Person, role: str) -> None:
    """Let somebody into one's project."""
    (found,) = data_of(owner.get(f"/api/projects?q={project}"))
    path = f"/api/projects/{found['id']}/members/{member.user_id}"
    data_of(owner.put(path, json={"role": role}))


def path_of(service: dict[str, Any]) -> str:
    return f"/api/services/{service['id']}"


# What somebody does to a service, by which door, and what it is called.
CHANGES: dict[str, tuple[Change, str]] = {
    "update": (lambda p, _, s: p.patch(path_of(s), json={"name": "New"}), "service.updated"),
    "update by services.php": (
        lambda p, _, s: p.act("updateService", serviceId=s["serviceId"], description="New"),
        "service.updated",
    ),
    "update with a configuration": (
        lambda p, _, s: p.patch(path_of(s), json={"name": "New", "configuration": {"port": 1}}),
        "service.updated",
    ),
    "configure": (
        lambda p, _, s: p.post(f"{path_of(s)}/config", json={"port": 1}),
        "service.configured",
    ),
    "configure whole": (
        lambda p, _, s: p.put(f"{path_of(s)}/config", json={"port": 1}),
        "service.configured",
    ),
    "configure by services.php": (
        lambda p, _, s: p.act("updateConfig", serviceId=s["serviceId"], configuration={"port": 1}),
        "service.configured",
    ),
    "suspend": (lambda p, _, s: p.post(f"{path_of(s)}/suspend"), "service.deactivated"),
    "suspend by services.php": (
        lambda p, _, s: p.act("suspendService", serviceId=s["serviceId"]),
        "service.deactivated",
    ),
    "maintain": (
        lambda p, _, s: p.patch(path_of(s), json={"status": "maintenance"}),
        "service.maintenance_started",
    ),
    "cancel": (lambda p, _, s: p.delete(path_of(s)), "service.cancelled"),
    "cancel by services.php": (
        lambda p, _, s: p.act("deleteService", serviceId=s["serviceId"]),
        "service.cancelled",
    ),
    "update by an admin": (
        lambda _, admin, s: admin.patch(path_of(s), json={"name": "New"}),
        "service.updated",
    ),
}

# What is refused, or changes nothing.
NO_CHANGES: dict[str, tuple[Change, int]] = {
    "a broken rule": (lambda p, _, s: p.patch(path_of(s), json={"name": ""}), 400),
    "one broken rule of two": (
        lambda p, _, s: p.patch(path_of(s), json={"name": "New", "type": "vps"}),
        400,
    ),
    "a broken variable": (
        lambda p, _, s: p.post(f"{path_of(s)}/config", json={"environment": {"A": {"x": 1}}}),
        400,
    ),
    "a foreign project": (
        lambda p, _, s: p.patch(path_of(s), json={"name": "New", "project": "admins"}),
        403,
    ),
    "a status it can't have": (
        lambda p, _, s: p.patch(path_of(s), json={"name": "New", "status": "suspended"}),
        409,
    ),
    "a lost race": (
        lambda p, _, s: p.patch(path_of(s), json={"name": "New"}, headers={"If-Match": '"other"'}),
        412,
    ),
    "a restore by its owner": (lambda p, _, s: p.post(f"{path_of(s)}/restore"), 403),
    "a restore of what lives": (lambda _, a, s: a.post(f"{path_of(s)}/restore"), 200),
    "the status it has": (lambda p, _, s: p.post(f"{path_of(s)}/resume"), 200),
    "the fields it has": (lambda p, _, s: p.patch(path_of(s), json={"name": s["name"]}), 200),
    "the configuration it has": (lambda p, _, s: p.post(f"{path_of(s)}/config", json={}), 200),
}


class TestWhatAChangeLeaves:
    def test_creating_leaves_one_entry_and_one_event(self, alice: Person) -> None:
        service = alice.new_service()
        alice.act("createService", name="Old style", type="api", project="shop")
        by_target = [e["action"] for e in audit(alice, f"targetId={service['id']}")]
        assert by_target == ["service.created"]
        assert [e["type"] for e in events(alice, f"subject={service['id']}")] == ["service.created"]
        created = audit(alice, "action=service.created")
        assert len(created) == len(events(alice, "type=service.created")) == 2

    @pytest.mark.parametrize("change", CHANGES)
    def test_each_change_leaves_one_entry_and_one_event(
        self, alice: Person, admin: Person, change: str
    ) -> None:
        act, action = CHANGES[change]
        service = alice.new_service()
        data_of(act(alice, admin, service))
        assert [e["action"] for e in audit(alice)] == [action, "service.created"]
        assert [e["type"] for e in events(alice)] == ["service.created", action]

    def test_a_whole_life_is_told_in_order(self, alice: Person, admin: Person) -> None:
        service = alice.new_service(type="vps")
        path = path_of(service)
        data_of(alice.post(f"{path}/suspend", json={"reason": "unpaid"}))
        data_of(alice.post(f"{path}/resume"))
        data_of(alice.delete(path))
        data_of(admin.post(f"{path}/restore"))
        told = [
            "service.created",
            "service.suspended",
            "service.activated",
            "service.cancelled",
            "service.restored",
        ]
        assert [e["action"] for e in reversed(audit(alice))] == told
        assert [e["type"] for e in events(alice)] == told
        suspended = audit(alice, "action=service.suspended")[0]["changes"]
        assert suspended == {
            "before": {"status": "active"},
            "after": {"status": "suspended"},
            "reason": "unpaid",
        }

    @pytest.mark.parametrize("change", NO_CHANGES)
    def test_what_changes_nothing_leaves_nothing(
        self, alice: Person, admin: Person, change: str
    ) -> None:
        act, status = NO_CHANGES[change]
        data_of(admin.post("/api/projects", json={"name": "admins"}), 201)
        service = alice.new_service()
        assert act(alice, admin, service).status_code == status
        assert [e["action"] for e in audit(alice)] == ["service.created"]
        assert [e["type"] for e in events(alice)] == ["service.created"]
        assert data_of(alice.get(path_of(service))) == service

    @pytest.mark.parametrize("part", ["record", "emit"])
    def test_row_entry_and_event_are_written_together_or_not_at_all(
        self, alice: Person, admin: Person, monkeypatch: pytest.MonkeyPatch, part: str
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("no")

        service = alice.new_service()
        given = {"name": "Second", "type": "api", "project": "shop"}
        with monkeypatch.context() as patched:
            patched.setattr(changes, part, fail)
            for act, _ in CHANGES.values():
                error_of(act(alice, admin, service), 500, "INTERNAL_ERROR")
            error_of(alice.post("/api/services", json=given), 500, "INTERNAL_ERROR")
        assert data_of(alice.get("/api/services")) == [service]
        assert data_of(alice.get("/api/projects")) == []
        versions = data_of(alice.get(f"{path_of(service)}/config/versions"))
        assert [version["number"] for version in versions] == [1]
        assert [e["action"] for e in audit(alice)] == ["service.created"]
        assert [e["type"] for e in events(alice)] == ["service.created"]

    def test_an_update_tells_what_was_and_what_is(self, alice: Person) -> None:
        service = alice.new_service(name="Old", description="same")
        alice.patch(path_of(service), json={"name": "New", "description": "same"})
        told = audit(alice)[0]["changes"]
        assert told == {"before": {"name": "Old"}, "after": {"name": "New"}}

    def test_an_event_says_enough_to_find_the_service(self, alice: Person) -> None:
        service = alice.new_service()
        (event,) = events(alice)
        assert event["subject"] == service["id"]
        assert event["data"] == {
            name: service[name] for name in ("id", "serviceId", "name", "type", "status")
        }
        assert event["time"].endswith("Z") and event["id"] and event["sequence"]

    def test_an_entry_names_who_when_from_where_and_by_which_request(self, alice: Person) -> None:
        given = {"name": "Orders API", "type": "api"}
        answer = alice.post("/api/services", json=given, headers={"X-Request-ID": "deploy-7.a"})
        service = data_of(answer, 201)
        (entry,) = audit(alice)
        assert (entry["actorId"], entry["actorName"]) == (alice.user_id, "Alice")
        assert (entry["requestId"], entry["address"]) == ("deploy-7.a", "127.0.0.1")
        assert (entry["targetType"], entry["targetId"]) == ("service", service["id"])
        assert entry["ownerId"] == alice.user_id
        assert entry["at"].endswith("Z")

    @pytest.mark.parametrize(
        ("proxies", "address"), [("0", "127.0.0.1"), ("1", "203.0.113.7"), ("2", "198.51.100.1")]
    )
    def test_a_forwarded_address_is_believed_from_the_operators_proxies_alone(
        self, make_app: MakeApp, new_person: NewPerson, proxies: str, address: str
    ) -> None:
        alice = new_person("Alice", of=make_app(TRUSTED_PROXIES=proxies))
        alice.post(
            "/api/projects",
            json={"name": "shop"},
            headers={"X-Forwarded-For": "192.0.2.9, 198.51.100.1, 203.0.113.7"},
        )
        assert audit(alice)[0]["address"] == address


class TestSecrets:
    def test_no_entry_and_no_event_carries_a_secret(self, app: Flask, alice: Person) -> None:
        def environment(*names: str) -> dict[str, Any]:
            return {"environment": {n: {"value": f"{SECRET}-{n}", "secret": True} for n in names}}

        service = alice.new_service(configuration=environment("A"))
        path = path_of(service)
        data_of(alice.post(f"{path}/config", json=environment("B")))
        data_of(alice.put(f"{path}/config", json=environment("B", "C")))
        data_of(alice.patch(path, json={"configuration": environment("D")}))
        data_of(
            alice.act(
                "updateConfig",
                serviceId=service["serviceId"],
                configuration={"environment": {"D": f"{SECRET}-D2"}},
            )
        )
        data_of(alice.post(f"{path}/config/versions/1/restore"))
        assert len(audit(alice)) == len(events(alice)) == 6
        told = alice.get("/api/audit").text + alice.get("/api/events").text
        assert '"encrypted"' in told
        assert SECRET not in told and "sealed" not in told
        with app.app_context():
            for model in (AuditEntry, Event):
                rows = db.session.execute(db.select(model.__table__)).all()
                assert SECRET not in str(rows) and "sealed" not in str(rows)


class TestWhoSeesWhat:
    def test_owners_see_what_befell_their_own_and_actors_what_they_did(
        self, alice: Person, bob: Person, charlie: Person, admin: Person
    ) -> None:
        service = alice.new_service(project="shop")
        share(alice, "shop", bob, "editor")
        data_of(bob.patch(path_of(service), json={"name": "by Bob"}))
        data_of(admin.post(f"{path_of(service)}/suspend"))
        assert [e["actorName"] for e in audit(alice, f"targetId={service['id']}")] == [
            "Ada",
            "Bob",
            "Alice",
        ]
        assert [e["action"] for e in audit(bob)] == ["service.updated"]
        assert audit(charlie) == events(charlie) == []
        everything = {e["id"] for e in audit(admin)}
        assert everything >= {e["id"] for e in audit(alice) + audit(bob)}
        of_the_service = ["service.created", "service.updated", "service.deactivated"]
        assert [e["type"] for e in events(alice, f"subject={service['id']}")] == of_the_service
        assert [e["type"] for e in events(admin, f"subject={service['id']}")] == of_the_service
        assert events(bob) == []

    def test_a_filter_opens_nothing(self, alice: Person, charlie: Person) -> None:
        service = alice.new_service()
        for query in (f"targetId={service['id']}", f"actorId={alice.user_id}"):
            assert audit(charlie, query) == []
        assert events(charlie, f"subject={service['id']}") == []

    def test_nobody_and_guests_see_nothing(
        self, client: FlaskClient, new_person: NewPerson
    ) -> None:
        guest = new_person("Gus", Role.GUEST)
        for path in ("/api/audit", "/api/events"):
            error_of(client.get(path), 401, "UNAUTHENTICATED")
            error_of(guest.get(path), 403, "FORBIDDEN")

    def test_entries_outlive_the_project_they_tell_of(self, alice: Person) -> None:
        project = data_of(alice.post("/api/projects", json={"name": "shop"}), 201)
        data_of(alice.delete(f"/api/projects/{project['id']}"))
        told = ["project.deleted", "project.created"]
        assert [e["action"] for e in audit(alice, f"targetId={project['id']}")] == told
        assert [e["type"] for e in events(alice)] == told[::-1]


class TestFiltersAndPages:
    def test_audit_filters_narrow_and_combine(self, alice: Person, bob: Person) -> None:
        start = datetime.now(UTC) + timedelta(hours=1)
        with fixed_at(start):
            one = alice.new_service(name="One", project="shop")
        with fixed_at(start + timedelta(hours=1)):
            two = alice.new_service(name="Two", project="shop")
            share(alice, "shop", bob, "editor")
        with fixed_at(start + timedelta(hours=2)):
            data_of(bob.patch(path_of(one), json={"name": "Uno"}))

        def targets(**query: str) -> list[str]:
            found = data_of(alice.get("/api/audit", query_string=query))
            return [e["targetId"] for e in found if e["targetType"] == "service"]

        assert targets() == [one["id"], two["id"], one["id"]]
        assert targets(targetId=two["id"]) == [two["id"]]
        assert targets(actorId=bob.user_id) == [one["id"]]
        assert targets(action="service.created") == [two["id"], one["id"]]
        assert targets(action="service.created", targetId=one["id"]) == [one["id"]]
        assert targets(action="nothing.happened") == []
        second = (start + timedelta(hours=1)).isoformat()
        assert targets(since=second) == [one["id"], two["id"]]
        assert targets(until=second) == [one["id"]]
        third = (start + timedelta(hours=2)).astimezone().isoformat()
        assert targets(since=second, until=third) == [two["id"]]

    @pytest.mark.parametrize("path", ["/api/audit", "/api/events"])
    def test_pages_give_each_once_in_order(self, alice: Person, path: str) -> None:
        for number in range(5):
            alice.new_service(name=f"Service {number}")
        whole = [each["id"] for each in data_of(alice.get(path))]
        paged: list[str] = []
        cursor = ""
        while cursor is not None:
            page = alice.get(f"{path}?limit=2{cursor and '&cursor='}{cursor}")
            paged += [each["id"] for each in data_of(page)]
            cursor = page.json["meta"]["nextCursor"]
        assert paged == whole and len(set(whole)) == 5

    def test_a_page_of_events_goes_on_where_the_last_ended(self, alice: Person) -> None:
        for name in "abc":
            alice.new_service(name=name)
        first = alice.get("/api/events?limit=2")
        alice.new_service(name="d")
        rest = alice.get(f"/api/events?cursor={first.json['meta']['nextCursor']}")
        assert [e["data"]["name"] for e in data_of(first) + data_of(rest)] == list("abcd")

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("audit?since=yesterday", "since"),
            ("audit?until=2030-01-01T00:00:00", "until"),
            ("audit?targetId=", "targetId"),
            ("audit?limit=501", "limit"),
            ("audit?cursor=x", "cursor"),
            ("audit?colour=red", "colour"),
            ("audit?action=a&action=b", "action"),
            ("audit?targetId=a%00b", "targetId"),
            ("events?cursor=x", "cursor"),
            ("events?type=", "type"),
            ("events?subject=%00", "subject"),
        ],
    )
    def test_a_broken_rule_is_named_by_field(self, alice: Person, query: str, field: str) -> None:
        error = error_of(alice.get(f"/api/{query}"), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == [field]

    def test_a_cursor_of_one_list_does_not_fit_the_other(self, alice: Person) -> None:
        for name in "ab":
            alice.new_service(name=name)
        cursor = alice.get("/api/audit?limit=1").json["meta"]["nextCursor"]
        error_of(alice.get(f"/api/events?cursor={cursor}"), 400, "VALIDATION_ERROR")
