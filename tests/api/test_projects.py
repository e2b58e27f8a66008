"""/api/projects: making and sharing projects, and what each part in one allows."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.people import Person, data_of, error_of
from tests.races import answers_of_two_at_once


def new_project(person: Person, name: str = "shop", **fields: Any) -> dict[str, Any]:
    """Make a project by REST and return it."""
    answer = person.post("/api/projects", json={"name": name} | fields)
    project: dict[str, Any] = data_of(answer, 201)
    return project


def put_member(
    person: Person, project: dict[str, Any], member: Person, role: str = "viewer"
) -> TestResponse:
    """Ask to let somebody into a project."""
    path = f"/api/projects/{project['id']}/members/{member.user_id}"
    return person.put(path, json={"role": role})


def roles_of(person: Person, project: dict[str, Any]) -> dict[str, str]:
    """The members of a project as somebody sees them: address -> role."""
    members = data_of(person.get(f"/api/projects/{project['id']}/members"))
    return {member["email"]: member["role"] for member in members}


class TestCreating:
    def test_two_services_made_at_once_share_their_new_project(
        self, app: Flask, alice: Person
    ) -> None:
        first, second = answers_of_two_at_once(
            app,
            "projects",
            lambda: alice.post(
                "/api/services", json={"name": "A", "type": "api", "project": "shop"}
            ),
            lambda: alice.post(
                "/api/services", json={"name": "B", "type": "api", "project": "shop"}
            ),
        )
        assert [data_of(each, 201)["project"] for each in (first, second)] == ["shop", "shop"]
        assert len(data_of(alice.get("/api/projects"))) == 1
        told = [event["type"] for event in data_of(alice.get("/api/events"))]
        assert sum("project.created" in each for each in told) == 1

    def test_of_two_people_who_name_one_project_at_once_the_second_is_refused(
        self, app: Flask, alice: Person, bob: Person
    ) -> None:
        first, second = answers_of_two_at_once(
            app,
            "projects",
            lambda: alice.post(
                "/api/services", json={"name": "A", "type": "api", "project": "shop"}
            ),
            lambda: bob.post("/api/services", json={"name": "B", "type": "api", "project": "shop"}),
        )
        assert data_of(first, 201)["project"] == "shop"
        error_of(second, 403, "FORBIDDEN")

    def test_it_belongs_to_its_maker(self, alice: Person) -> None:
        answer = alice.post("/api/projects", json={"name": "shop", "description": "The shop"})
        project = data_of(answer, 201)
        assert (project["name"], project["description"]) == ("shop", "The shop")
        assert project["createdAt"].endswith("Z")
        assert data_of(alice.get(answer.headers["Location"])) == project
        members = data_of(alice.get(f"/api/projects/{project['id']}/members"))
        assert members == [
            {"userId": alice.user_id, "email": alice.email, "name": "Alice", "role": "owner"}
        ]

    def test_a_taken_name_is_a_conflict_whoever_took_it(self, alice: Person, bob: Person) -> None:
        new_project(alice, "shop")
        for person in (alice, bob):
            error = error_of(person.post("/api/projects", json={"name": "shop"}), 409, "CONFLICT")
            assert error["details"] == {"name": "shop"}
        assert data_of(bob.get("/api/projects")) == []

    def test_names_are_compared_exactly(self, alice: Person) -> None:
        for name in ("shop", "Shop", "shop ", "shöp"):
            new_project(alice, name)

    def test_a_new_service_makes_the_project_it_names(self, alice: Person, bob: Person) -> None:
        alice.new_service(project="shop")
        project = data_of(alice.get("/api/projects"))[0]
        assert (project["name"], roles_of(alice, project)) == ("shop", {alice.email: "owner"})
        taken = bob.post("/api/services", json={"name": "x", "type": "api", "project": "shop"})
        error_of(taken, 403, "FORBIDDEN")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({}, "name"),
            ({"name": ""}, "name"),
            ({"name": "  "}, "name"),
            ({"name": None}, "name"),
            ({"name": "x" * 256}, "name"),
            ({"name": "a\x00b"}, "name"),
            ({"name": "x", "description": "x" * 10_001}, "description"),
            ({"name": "x", "ownerId": "somebody"}, "ownerId"),
        ],
    )
    def test_a_broken_rule_is_named_by_field(
        self, alice: Person, fields: dict[str, object], field: str
    ) -> None:
        error = error_of(alice.post("/api/projects", json=fields), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == [field]

    def test_an_idempotency_key_makes_one_project(self, alice: Person) -> None:
        def make(name: str) -> TestResponse:
            return alice.post(
                "/api/projects", json={"name": name}, headers={"Idempotency-Key": "k1"}
            )

        first, second = make("shop"), make("shop")
        assert (first.status_code, first.data) == (second.status_code, second.data)
        assert first.headers["Location"] == second.headers["Location"]
        assert second.headers["Idempotent-Replayed"] == "true"
        error_of(make("other"), 409, "IDEMPOTENCY_KEY_REUSED")
        assert len(data_of(alice.get("/api/projects"))) == 1

    def test_a_key_of_another_resource_is_another_request(self, alice: Person) -> None:
        headers = {"Idempotency-Key": "k1"}
        alice.post("/api/projects", json={"name": "shop"}, headers=headers)
        service = alice.post("/api/services", json={"name": "shop"}, headers=headers)
        error_of(service, 400, "VALIDATION_ERROR")
        given = {"name": "shop", "type": "api"}
        reused = alice.post("/api/services", json=given, headers=headers)
        error_of(reused, 409, "IDEMPOTENCY_KEY_REUSED")


class TestListing:
    def test_one_sees_own_and_shared_projects_and_an_admin_all(
        self, alice: Person, bob: Person, charlie: Person, admin: Person
    ) -> None:
        new_project(alice, "private")
        put_member(alice, new_project(alice, "shared"), bob)

        def seen(person: Person) -> list[str]:
            return [project["name"] for project in data_of(person.get("/api/projects"))]

        assert seen(alice) == seen(admin) == ["private", "shared"]
        assert seen(bob) == ["shared"]
        assert seen(charlie) == []

    def test_pages_give_each_once_by_name_and_q_narrows_them(self, alice: Person) -> None:
        for name in ("delta", "Alpha", "charlie", "bravo", "100%"):
            new_project(alice, name)
        whole = [p["name"] for p in data_of(alice.get("/api/projects"))]
        paged: list[str] = []
        cursor = ""
        while cursor is not None:
            page = alice.get(f"/api/projects?limit=2{cursor and '&cursor='}{cursor}")
            paged += [p["name"] for p in data_of(page)]
            cursor = page.json["meta"]["nextCursor"]
        assert paged == whole and len(whole) == 5
        found = data_of(alice.get("/api/projects?q=ALPH"))
        assert [p["name"] for p in found] == ["Alpha"]
        assert [p["name"] for p in data_of(alice.get("/api/projects?q=%25"))] == ["100%"]


class TestMembers:
    def test_each_part_allows_what_it_says(
        self, alice: Person, bob: Person, charlie: Person
    ) -> None:
        service = alice.new_service(project="shop")
        project = data_of(alice.get("/api/projects"))[0]
        path = f"/api/services/{service['id']}"
        given = {"name": "New", "type": "api", "project": "shop"}

        def may(person: Person) -> tuple[bool, bool, bool, bool]:
            """Whether somebody may read, change and add services, and let others in."""
            answers = (
                person.get(path),
                person.patch(path, json={"description": f"by {person.email}"}),
                person.post("/api/services", json=given),
                put_member(person, project, charlie),
            )
            for answer in answers:
                if answer.status_code >= 400:
                    error_of(answer, 403, "FORBIDDEN")
            read, change, add, share = (answer.status_code < 400 for answer in answers)
            return read, change, add, share

        assert may(bob) == (False, False, False, False)
        put_member(alice, project, bob, "viewer")
        assert may(bob) == (True, False, False, False)
        put_member(alice, project, bob, "editor")
        assert may(bob) == (True, True, True, False)
        put_member(alice, project, bob, "owner")
        assert may(bob) == (True, True, True, True)

    def test_a_viewer_changes_nothing_by_any_door(self, alice: Person, bob: Person) -> None:
        service = alice.new_service(project="shop")
        put_member(alice, data_of(alice.get("/api/projects"))[0], bob, "viewer")
        number, path = service["serviceId"], f"/api/services/{service['id']}"
        assert data_of(bob.act("getService", serviceId=number))["id"] == service["id"]
        for answer in (
            bob.delete(path),
            bob.post(f"{path}/suspend"),
            bob.post(f"{path}/config", json={"port": 1}),
            bob.put(f"{path}/config", json={"port": 1}),
            bob.post(f"{path}/logs", json={"entries": []}),
            bob.post(f"{path}/metrics", json={"samples": []}),
            bob.act("deleteService", serviceId=number),
            bob.act("suspendService", serviceId=number),
            bob.act("updateService", serviceId=number, name="x"),
            bob.act("updateConfig", serviceId=number, configuration={"port": 1}),
        ):
            error_of(answer, 403, "FORBIDDEN")
        assert data_of(alice.get(path)) == service

    def test_an_editor_renames_the_project_and_only_an_owner_removes_it(
        self, alice: Person, bob: Person, charlie: Person
    ) -> None:
        project = new_project(alice)
        path = f"/api/projects/{project['id']}"
        for person in (bob, charlie):
            error_of(person.get(path), 403, "FORBIDDEN")
            error_of(person.patch(path, json={"name": "x"}), 403, "FORBIDDEN")
            error_of(person.get(f"{path}/members"), 403, "FORBIDDEN")
            error_of(person.delete(path), 403, "FORBIDDEN")
        put_member(alice, project, bob, "editor")
        put_member(alice, project, charlie, "viewer")
        assert data_of(bob.patch(path, json={"name": "store"}))["name"] == "store"
        assert data_of(charlie.get(path))["name"] == "store"
        error_of(charlie.patch(path, json={"name": "x"}), 403, "FORBIDDEN")
        for person in (bob, charlie):
            error_of(person.delete(path), 403, "FORBIDDEN")
            error_of(put_member(person, project, person, "owner"), 403, "FORBIDDEN")
        assert data_of(alice.delete(path)) == {"id": project["id"], "deleted": True}

    def test_an_admin_counts_as_an_owner(self, alice: Person, bob: Person, admin: Person) -> None:
        project = new_project(alice)
        data_of(put_member(admin, project, bob, "owner"))
        assert roles_of(admin, project) == {alice.email: "owner", bob.email: "owner"}
        data_of(admin.delete(f"/api/projects/{project['id']}"))

    def test_members_are_told_by_address_and_changes_take_effect_at_once(
        self, alice: Person, bob: Person
    ) -> None:
        service = alice.new_service(project="shop")
        project = data_of(alice.get("/api/projects"))[0]
        members = data_of(put_member(alice, project, bob, "editor"))
        assert [member["email"] for member in members] == [alice.email, bob.email]
        data_of(bob.get(f"/api/services/{service['id']}"))
        gone = alice.delete(f"/api/projects/{project['id']}/members/{bob.user_id}")
        assert [member["email"] for member in data_of(gone)] == [alice.email]
        error_of(bob.get(f"/api/services/{service['id']}"), 403, "FORBIDDEN")
        assert data_of(bob.get("/api/services")) == []

    def test_the_last_owner_can_neither_leave_nor_be_demoted(
        self, alice: Person, bob: Person, admin: Person
    ) -> None:
        project = new_project(alice)
        path = f"/api/projects/{project['id']}/members"
        put_member(alice, project, bob, "editor")
        for person in (alice, admin):
            error_of(person.delete(f"{path}/{alice.user_id}"), 409, "CONFLICT")
            error_of(put_member(person, project, alice, "viewer"), 409, "CONFLICT")
        assert roles_of(alice, project) == {alice.email: "owner", bob.email: "editor"}
        put_member(alice, project, bob, "owner")
        data_of(alice.delete(f"{path}/{alice.user_id}"))
        assert roles_of(bob, project) == {bob.email: "owner"}

    def test_who_is_not_there_is_told_apart(self, alice: Person, bob: Person) -> None:
        project = new_project(alice)
        path = f"/api/projects/{project['id']}/members"
        unknown = alice.put(f"{path}/nobody", json={"role": "viewer"})
        assert "userId" in error_of(unknown, 400, "VALIDATION_ERROR")["details"]
        error_of(alice.delete(f"{path}/{bob.user_id}"), 404, "NOT_FOUND")
        error_of(put_member(alice, project, bob, "boss"), 400, "VALIDATION_ERROR")
        error_of(alice.get("/api/projects/none"), 404, "NOT_FOUND")
        error_of(alice.get(f"/api/projects/{'9' * 400}"), 404, "NOT_FOUND")
        error_of(alice.get("/api/projects/a%00b"), 404, "NOT_FOUND")

    def test_setting_the_same_part_again_leaves_no_trace(self, alice: Person, bob: Person) -> None:
        project = new_project(alice)
        put_member(alice, project, bob)
        data_of(put_member(alice, project, bob))
        actions = [entry["action"] for entry in data_of(alice.get("/api/audit"))]
        assert actions == ["project.member_set", "project.created"]


class TestMovingServices:
    def test_an_editor_takes_no_service_out_of_the_project(
        self, alice: Person, bob: Person
    ) -> None:
        project = new_project(alice)
        put_member(alice, project, bob, "editor")
        service = alice.new_service(project=project["name"])
        path = f"/api/services/{service['id']}"
        for target in (None, "bobs-own"):
            error_of(bob.patch(path, json={"project": target}), 403, "FORBIDDEN")
            moved = bob.act("updateService", serviceId=service["serviceId"], project="bobs-own")
            error_of(moved, 403, "FORBIDDEN")
        data_of(bob.patch(path, json={"project": project["name"], "description": "kept"}))
        # Its owner does, and whoever owns the project does with what a member put in.
        data_of(alice.patch(path, json={"project": None}))
        put_in = bob.new_service(project=project["name"])
        data_of(alice.patch(f"/api/services/{put_in['id']}", json={"project": "other"}))


class TestChanging:
    def test_a_new_name_shows_in_its_services_and_their_entity_tags(self, alice: Person) -> None:
        service = alice.new_service(project="shop")
        project = data_of(alice.get("/api/projects"))[0]
        path = f"/api/services/{service['id']}"
        tag = alice.get(path).headers["ETag"]
        data_of(alice.patch(f"/api/projects/{project['id']}", json={"name": "store"}))
        read = alice.get(path, headers={"If-None-Match": tag})
        assert data_of(read)["project"] == "store"
        stale = alice.patch(path, json={"name": "x"}, headers={"If-Match": tag})
        error_of(stale, 412, "VERSION_CONFLICT")
        assert data_of(alice.act("getServices", project="shop")) == []
        assert len(data_of(alice.act("getServices", project="store"))) == 1
        assert len(data_of(alice.get("/api/services?project=store"))) == 1

    def test_a_taken_name_is_a_conflict_and_changes_nothing(self, alice: Person) -> None:
        new_project(alice, "shop")
        other = new_project(alice, "other")
        path = f"/api/projects/{other['id']}"
        changes = {"name": "shop", "description": "new"}
        error_of(alice.patch(path, json=changes), 409, "CONFLICT")
        assert data_of(alice.get(path)) == other

    def test_changing_nothing_leaves_no_trace(self, alice: Person) -> None:
        project = new_project(alice)
        path = f"/api/projects/{project['id']}"
        for changes in ({}, {"name": "shop"}, {"description": ""}):
            assert data_of(alice.patch(path, json=changes)) == project
        assert [e["action"] for e in data_of(alice.get("/api/audit"))] == ["project.created"]

    def test_an_unknown_or_null_field_is_refused(self, alice: Person) -> None:
        path = f"/api/projects/{new_project(alice)['id']}"
        for changes in ({"id": "x"}, {"name": None}, {"description": None}, {"members": []}):
            error_of(alice.patch(path, json=changes), 400, "VALIDATION_ERROR")

    def test_two_editors_never_overwrite_each_other(self, alice: Person) -> None:
        path = f"/api/projects/{new_project(alice)['id']}"
        tag = {"If-Match": alice.get(path).headers["ETag"]}
        first = alice.patch(path, json={"name": "first"}, headers=tag)
        assert data_of(first)["name"] == "first"
        late = alice.patch(path, json={"name": "second"}, headers=tag)
        current = error_of(late, 412, "VERSION_CONFLICT")["details"]["current"]
        assert current == first.headers["ETag"] == alice.get(path).headers["ETag"]
        error_of(alice.delete(path, headers=tag), 412, "VERSION_CONFLICT")
        data_of(alice.delete(path, headers={"If-Match": current}))

    def test_of_two_editors_at_the_same_moment_one_is_refused(
        self, app: Flask, alice: Person
    ) -> None:
        path = f"/api/projects/{new_project(alice)['id']}"
        tag = {"If-Match": alice.get(path).headers["ETag"]}
        first, second = answers_of_two_at_once(
            app,
            "projects",
            lambda: alice.patch(path, json={"name": "first"}, headers=tag),
            lambda: alice.patch(path, json={"name": "second"}, headers=tag),
        )
        assert data_of(first)["name"] == "first"
        error_of(second, 412, "VERSION_CONFLICT")
        assert data_of(alice.get(path))["name"] == "first"


class TestRemoving:
    def test_one_with_services_stays(self, alice: Person, admin: Person) -> None:
        service = alice.new_service(project="shop")
        project = data_of(alice.get("/api/projects"))[0]
        path = f"/api/projects/{project['id']}"
        for person in (alice, admin):
            error_of(person.delete(path), 409, "CONFLICT")
        assert data_of(alice.get(path)) == project
        assert data_of(alice.get(f"/api/services/{service['id']}"))["project"] == "shop"
        actions = {entry["action"] for entry in data_of(admin.get("/api/audit"))}
        assert "project.deleted" not in actions

    def test_an_empty_one_goes_with_its_members_and_frees_its_name(
        self, alice: Person, bob: Person
    ) -> None:
        service = alice.new_service(project="shop")
        project = data_of(alice.get("/api/projects"))[0]
        put_member(alice, project, bob)
        data_of(alice.patch(f"/api/services/{service['id']}", json={"project": None}))
        path = f"/api/projects/{project['id']}"
        data_of(alice.delete(path))
        error_of(alice.get(path), 404, "NOT_FOUND")
        error_of(alice.delete(path), 404, "NOT_FOUND")
        assert data_of(bob.get("/api/projects")) == []
        new_project(bob, "shop")


def test_a_member_leaves_by_itself_and_removes_nobody_else(alice: Person, bob: Person) -> None:
    members = f"/api/projects/{new_project(alice)['id']}/members"
    alice.put(f"{members}/{bob.user_id}", json={"role": "viewer"})
    error_of(bob.delete(f"{members}/{alice.user_id}"), 403, "FORBIDDEN")
    left = data_of(bob.delete(f"{members}/{bob.user_id}"))
    assert [member["userId"] for member in left] == [alice.user_id]
    error_of(bob.get(members), 403, "FORBIDDEN")
