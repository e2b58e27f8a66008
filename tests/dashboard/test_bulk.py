"""One change of many services: by the pages without JavaScript, and by REST."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.people import Person, data_of, error_of

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def bulk(person: Person, action: str, *ids: str, **more: Any) -> dict[str, Any]:
    body = {"action": action, "serviceIds": list(ids), **more}
    answer: dict[str, Any] = data_of(person.post("/api/services/bulk", json=body))
    return answer


def status(person: Person, service: dict[str, Any]) -> str:
    return str(data_of(person.get(f"/api/services/{service['id']}"))["status"])


class TestByRest:
    def test_each_has_its_own_result(self, alice: Person, charlie: Person) -> None:
        component, plan = alice.new_service(), alice.new_service(type="vps")
        gone = alice.new_service(name="Gone")
        data_of(alice.delete(f"/api/services/{gone['id']}?confirm=Gone"))
        theirs = charlie.new_service()
        answer = bulk(
            alice, "suspend", component["id"], gone["id"], theirs["id"], "none", plan["serviceId"],
            component["id"], reason="Spring clean",
        )  # fmt: skip
        assert (answer["succeeded"], answer["refused"]) == (2, 3)
        told = [
            (r["serviceId"], r["status"], (r["error"] or {}).get("code")) for r in answer["results"]
        ]
        assert told == [
            (component["id"], "inactive", None),
            (gone["id"], None, "INVALID_TRANSITION"),
            (theirs["id"], None, "FORBIDDEN"),
            ("none", None, "SERVICE_NOT_FOUND"),
            (plan["serviceId"], "suspended", None),
        ]
        assert [r["ok"] for r in answer["results"]] == [True, False, False, False, True]
        assert answer["results"][1]["error"]["details"]["from"] == "cancelled"
        assert (status(alice, component), status(alice, plan)) == ("inactive", "suspended")
        assert status(charlie, theirs) == "active"
        trail = data_of(alice.get(f"/api/audit?targetId={plan['id']}"))
        assert trail[0]["changes"]["reason"] == "Spring clean"

    def test_it_can_be_sent_again(self, alice: Person) -> None:
        services = [alice.new_service(name=name) for name in "ab"]
        ids = [each["id"] for each in services]
        bulk(alice, "suspend", ids[0])
        assert bulk(alice, "suspend", *ids)["succeeded"] == 2
        assert bulk(alice, "resume", *ids)["succeeded"] == 2
        assert [status(alice, each) for each in services] == ["active", "active"]

    def test_tags_are_added_and_taken_away(self, alice: Person) -> None:
        one, full = (
            alice.new_service(tags=["a"]),
            alice.new_service(tags=list("bcdefghijklmnopqrstu")),
        )
        answer = bulk(alice, "tag", one["id"], full["id"], tags=["A", "Z"])
        assert [r["tags"] for r in answer["results"]] == [["a", "z"], None]
        assert answer["results"][1]["error"]["code"] == "VALIDATION_ERROR"
        answer = bulk(alice, "untag", one["id"], full["id"], tags=["a", "b"])
        assert answer["results"][0]["tags"] == ["z"]
        assert len(answer["results"][1]["tags"]) == 19

    def test_a_viewer_is_refused_each(self, alice: Person, bob: Person) -> None:
        service = alice.new_service(project="shop")
        project = data_of(alice.get("/api/projects"))[0]
        data_of(
            alice.put(
                f"/api/projects/{project['id']}/members/{bob.user_id}", json={"role": "viewer"}
            )
        )
        (result,) = bulk(bob, "tag", service["id"], tags=["x"])["results"]
        assert result["error"]["code"] == "FORBIDDEN"
        assert status(alice, service) == "active"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"action": "cancel", "serviceIds": ["1"]}, "action"),
            ({"action": "suspend"}, "serviceIds"),
            ({"action": "suspend", "serviceIds": []}, "serviceIds"),
            ({"action": "suspend", "serviceIds": [str(n) for n in range(501)]}, "serviceIds"),
            ({"action": "suspend", "serviceIds": [""]}, "serviceIds.0"),
            ({"action": "tag", "serviceIds": ["1"]}, "tags"),
            ({"action": "untag", "serviceIds": ["1"], "tags": []}, "tags"),
            ({"action": "tag", "serviceIds": ["1"], "tags": ["a b"]}, "tags"),
            ({"action": "resume", "serviceIds": ["1"], "tags": ["a"]}, "tags"),
        ],
    )
    def test_what_is_wrong_for_all_changes_nothing(
        self, alice: Person, body: dict[str, Any], field: str
    ) -> None:
        answer = alice.post("/api/services/bulk", json=body)
        assert list(error_of(answer, 400, "VALIDATION_ERROR")["details"]) == [field]


class TestByThePages:
    def test_the_question_says_what_will_happen(self, browser: FlaskClient, alice: Person) -> None:
        needed = alice.new_service(name="Store", project="shop")
        for name in ("Front", "Back"):
            alice.new_service(name=name, project="shop", dependencies=["Store"])
        alice.new_service(name="Further", project="shop", dependencies=["Front"])
        resting = alice.new_service(name="Resting", status="inactive")
        ids = f"id={needed['serviceId']}&id={resting['serviceId']}&id=none"
        page = browser.get(f"/services/bulk?action=suspend&{ids}").text
        assert "1 service will be suspended" in page
        assert "3 other services depend on them" in page
        for name in ("Front", "Back", "Further", "It is inactive already.", "There is no service"):
            assert name in page
        assert re.findall(r'name="id" value="([^"]+)"', page) == [needed["serviceId"]]
        assert status(alice, needed) == "active"
        again = browser.get(f"/services/bulk?action=resume&{ids}").text
        assert "1 service will be active again" in again
        assert "depend on them" not in again

    def test_dependants_that_are_selected_too_dont_count(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        store = alice.new_service(name="Store", project="shop")
        front = alice.new_service(name="Front", project="shop", dependencies=["Store"])
        ids = f"id={store['serviceId']}&id={front['serviceId']}"
        page = browser.get(f"/services/bulk?action=suspend&{ids}").text
        assert "No other service depends on them." in page

    def test_what_came_of_each_is_shown(
        self, browser: FlaskClient, alice: Person, charlie: Person
    ) -> None:
        own, theirs = alice.new_service(name="Own"), charlie.new_service(name="Theirs")
        given = {
            "action": "suspend",
            "id": [own["serviceId"], theirs["serviceId"]],
            "back": "/?q=o",
        }
        answer = browser.post("/services/bulk", data=given)
        assert answer.status_code == 200
        assert "Done for 1 service." in answer.text
        assert "1 service was refused" in answer.text
        assert "somebody else" in answer.text
        assert "Theirs" not in answer.text
        assert 'href="/?q=o"' in answer.text
        assert f"/services/bulk?action=resume&amp;id={own['serviceId']}" in answer.text
        assert (status(alice, own), status(charlie, theirs)) == ("inactive", "active")

    @on_sqlite
    def test_more_than_fit_at_once_are_none_rather_than_some(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service()
        ids = [service["serviceId"], *(str(number) for number in range(500))]
        answer = browser.post("/services/bulk", data={"action": "suspend", "id": ids})
        assert answer.status_code == 400
        assert "at most 500" in answer.text
        assert status(alice, service) == "active"

    def test_tags_that_are_wrong_are_kept_to_mend(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service()
        given = {"action": "tag", "id": service["serviceId"], "tags": "fine wr/ong"}
        answer = browser.post("/services/bulk", data=given)
        assert answer.status_code == 400
        assert 'value="fine wr/ong"' in answer.text
        assert 'aria-invalid="true"' in answer.text
        answer = browser.post("/services/bulk", data=given | {"tags": "Fine, other"})
        assert answer.status_code == 200
        assert data_of(alice.get(f"/api/services/{service['id']}"))["tags"] == ["fine", "other"]

    @pytest.mark.parametrize("query", ["", "?action=suspend", "?action=burn&id=1", "?id=1"])
    def test_without_a_selection_it_leads_back(self, browser: FlaskClient, query: str) -> None:
        assert "No service is selected" in browser.get(f"/services/bulk{query}").text

    def test_nobody_is_led_to_another_site(self, browser: FlaskClient) -> None:
        page = browser.get("/services/bulk?back=//evil.example").text
        assert 'href="//evil.example' not in page
