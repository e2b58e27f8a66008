"""Tags of services: kept in one form, found by, and told of."""

from typing import Any

import pytest

from tests.people import Person, data_of, error_of


def tags_of(person: Person, service: dict[str, Any]) -> list[str]:
    tags: list[str] = data_of(person.get(f"/api/services/{service['id']}"))["tags"]
    return tags


def names(person: Person, query: str) -> set[str]:
    return {each["name"] for each in data_of(person.get(f"/api/services?{query}"))}


class TestTags:
    def test_they_are_kept_in_lower_case_once_and_in_order(self, alice: Person) -> None:
        service = alice.new_service(tags=["Shop", "eu-west.1", "shop", " größe_2 "])
        assert service["tags"] == ["eu-west.1", "größe_2", "shop"]
        assert tags_of(alice, service) == service["tags"]
        listed = data_of(alice.get("/api/services"))
        assert [each["tags"] for each in listed] == [service["tags"]]

    def test_a_service_has_none_unless_it_is_given_some(self, alice: Person) -> None:
        assert alice.new_service()["tags"] == []
        assert [each["tags"] for each in data_of(alice.get("/api/services"))] == [[]]

    def test_a_change_replaces_them_and_makes_another_version(self, alice: Person) -> None:
        service = alice.new_service(tags=["a", "b"])
        path = f"/api/services/{service['id']}"
        before = alice.get(path)
        changed = data_of(alice.patch(path, json={"tags": ["b", "c"]}))
        assert changed["tags"] == ["b", "c"]
        assert changed["version"] == service["version"] + 1
        after = alice.get(path, headers={"If-None-Match": before.headers["ETag"]})
        assert after.status_code == 200
        assert data_of(alice.patch(path, json={"tags": []}))["tags"] == []
        same = data_of(alice.patch(path, json={"tags": []}))
        assert same["version"] == changed["version"] + 1

    @pytest.mark.parametrize(
        "tags",
        [[""], [" "], ["a b"], ["a,b"], ["a/b"], ["x" * 33], [str(n) for n in range(21)], ["\n"]],
    )
    def test_what_is_no_tag_is_refused(self, alice: Person, tags: list[str]) -> None:
        service = alice.new_service(tags=["kept"])
        answer = alice.patch(f"/api/services/{service['id']}", json={"tags": tags})
        assert any(
            path.startswith("tags") for path in error_of(answer, 400, "VALIDATION_ERROR")["details"]
        )
        new = alice.post("/api/services", json={"name": "N", "type": "api", "tags": tags})
        error_of(new, 400, "VALIDATION_ERROR")
        assert tags_of(alice, service) == ["kept"]

    def test_the_most_and_the_longest_are_taken(self, alice: Person) -> None:
        tags = sorted([f"{n:02}" for n in range(19)] + ["ö" * 32])
        assert alice.new_service(tags=tags)["tags"] == tags

    def test_the_trail_and_the_events_tell_of_them(self, alice: Person) -> None:
        service = alice.new_service(tags=["old"])
        data_of(alice.patch(f"/api/services/{service['id']}", json={"tags": ["new"]}))
        entry = data_of(alice.get("/api/audit"))[0]
        assert (entry["action"], entry["changes"]) == (
            "service.updated",
            {"before": {"tags": ["old"]}, "after": {"tags": ["new"]}},
        )
        events = data_of(alice.get(f"/api/events?subject={service['id']}"))
        assert [each["type"] for each in events][-1] == "service.updated"

    def test_they_go_with_their_service(self, alice: Person, admin: Person) -> None:
        service = alice.new_service(tags=["a"])
        data_of(alice.delete(f"/api/services/{service['id']}?confirm=Orders%20API"))
        answer = alice.patch(f"/api/services/{service['id']}", json={"tags": ["b"]})
        error_of(answer, 409, "CONFLICT")
        assert tags_of(admin, service) == ["a"]


class TestFinding:
    def test_a_list_is_narrowed_to_a_tag(self, alice: Person, charlie: Person) -> None:
        alice.new_service(name="One", tags=["shop", "eu"])
        alice.new_service(name="Two", tags=["shop"], type="vps")
        alice.new_service(name="Three")
        charlie.new_service(name="Theirs", tags=["shop"])
        assert names(alice, "tag=shop") == {"One", "Two"}
        assert names(alice, "tag=SHOP&type=vps") == {"Two"}
        assert names(alice, "tag=sho") == set()
        error_of(alice.get(f"/api/services?tag={'x' * 33}"), 400, "VALIDATION_ERROR")
        counted = alice.get("/api/services?tag=shop&count=true&limit=1").json
        assert counted["meta"]["total"] == 2

    def test_the_number_of_statements_stays(self, alice: Person, statements: list[str]) -> None:
        for number in range(3):
            alice.new_service(name=f"S{number}", tags=["a", "b"])
        statements.clear()
        data_of(alice.get("/api/services?tag=a"))
        few = len(statements)
        for number in range(5):
            alice.new_service(name=f"T{number}", tags=["a", "b", f"t{number}"])
        statements.clear()
        assert len(data_of(alice.get("/api/services?tag=a"))) == 8
        assert len(statements) == few


class TestServicesPhp:
    def test_it_neither_shows_nor_takes_them(self, alice: Person) -> None:
        made = data_of(alice.act("createService", name="Old", type="api", project="p", tags=["a"]))
        assert "tags" not in made
        assert tags_of(alice, made) == []
        changed = alice.act("updateService", serviceId=made["id"], tags=["b"])
        assert "tags" not in data_of(changed)
        assert tags_of(alice, made) == []
        assert "tags" not in data_of(alice.act("getServices"))[0]
