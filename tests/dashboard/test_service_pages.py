"""One service: its overview, and its status, changed once that was confirmed."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.dashboard.browsing import browser_of, text_of, undo_address
from tests.people import Person, data_of


@pytest.fixture
def browser(app: Flask, alice: Person) -> FlaskClient:
    return browser_of(app, alice)


def page_of(service: dict[str, Any], tab: str = "") -> str:
    return f"/services/{service['serviceId']}{tab}"


def status_of(person: Person, service: dict[str, Any]) -> str:
    return str(data_of(person.get(f"/api/services/{service['id']}"))["status"])


def share(alice: Person, bob: Person, role: str) -> str:
    """A project of Alice's in which Bob has a part."""
    project = data_of(alice.post("/api/projects", json={"name": "shared"}), 201)
    path = f"/api/projects/{project['id']}/members/{bob.user_id}"
    assert alice.put(path, json={"role": role}).status_code == 200
    return "shared"


class TestTheOverview:
    def test_it_shows_what_there_is_without_secrets(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service(
            name="Cluster",
            type="kubernetes",
            configuration={"environment": {"KEY": {"value": "s3cr3t", "secret": True}}},
        )
        page = browser.get(page_of(service)).text
        for told in (service["id"], service["serviceId"], service["clusterId"]):
            assert f"<code>{told}</code>" in page
        assert service["billingId"] in page
        assert "KEY encrypted" in text_of(page)
        assert "s3cr3t" not in page

    def test_its_project_and_tags_lead_to_what_shares_them(
        self, app: Flask, browser: FlaskClient, alice: Person, bob: Person
    ) -> None:
        service = alice.new_service(project=share(alice, bob, "viewer"), tags=["shop"])
        project = data_of(alice.get("/api/projects"))[0]
        page = browser.get(page_of(service)).text
        assert f'<a href="/projects/{project["id"]}">shared</a>' in page
        for path in ("/?tag=shop", f"/projects/{project['id']}"):
            assert f'href="{path}"' in page
            assert browser.get(path).status_code == 200
            assert "Orders API" in browser.get(path).text
        # Its owner may have no part in the project any more, and still reads the service.
        members = f"/api/projects/{project['id']}/members"
        data_of(alice.put(f"{members}/{bob.user_id}", json={"role": "owner"}))
        data_of(bob.delete(f"{members}/{alice.user_id}"))
        assert f"/projects/{project['id']}" not in browser.get(page_of(service)).text

    def test_neighbours_stand_there_with_their_states(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        store = alice.new_service(name="Store")
        alice.new_service(name="Shop", dependencies=["Store"])
        data_of(alice.post(f"/api/services/{store['id']}/suspend", json={}))
        gone = alice.new_service(name="Site", dependencies=["Store", "Nobody"])
        page = text_of(browser.get(page_of(store)).text)
        assert "Needed by Shop active unknown Site active unknown" in page
        page = text_of(browser.get(page_of(gone)).text)
        assert "Depends on Store inactive unknown" in page
        assert "No service has the name Nobody." in page

    @pytest.mark.parametrize("name", ["Größe „1“", 'a "b" \\c', "x/y", "100 %_", "i\u0307 🗄"])
    def test_a_neighbour_is_known_by_whatever_name(
        self, browser: FlaskClient, alice: Person, name: str
    ) -> None:
        service = alice.new_service(name=name)
        for needed in (name, service["serviceId"], service["id"]):
            alice.new_service(name=f"By {needed[-9:]}", dependencies=["Other", needed])
        alice.new_service(name="By none", dependencies=[name + " ", "x" + name])
        page = browser.get(page_of(service)).text
        needed_by = page.partition("Needed by")[2].partition("</section>")[0]
        assert needed_by.count("By ") == 3
        assert "By none" not in needed_by

    def test_the_latest_errors_and_changes_stand_there(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service()
        entries = [
            {"level": level, "message": f"{level} {number}"}
            for number in range(7)
            for level in ("info", "error")
        ]
        path = f"/api/services/{service['id']}"
        data_of(alice.post(f"{path}/logs", json={"entries": entries}), 202)
        data_of(alice.patch(path, json={"name": "Renamed"}))
        page = text_of(browser.get(page_of(service)).text)
        assert re.findall(r"(?:error|info) \d", page) == [f"error {n}" for n in (6, 5, 4, 3, 2)]
        assert "Service changed Alice" in page
        assert "Name before: Orders API after: Renamed" in page

    def test_members_learn_what_happened_but_not_who_did_it(
        self, app: Flask, alice: Person, bob: Person
    ) -> None:
        service = alice.new_service(project=share(alice, bob, "viewer"))
        data_of(alice.post(f"/api/services/{service['id']}/suspend", json={"reason": "No money"}))
        page = browser_of(app, bob).get(page_of(service)).text
        assert "Made inactive" in page
        assert "Alice" not in page
        assert "No money" not in page

    def test_who_may_only_look_gets_no_buttons(
        self, app: Flask, browser: FlaskClient, alice: Person, bob: Person
    ) -> None:
        service = alice.new_service(project=share(alice, bob, "viewer"))
        for verb in ("suspend", "maintenance", "cancel", "settings", "configuration"):
            link = f'href="{page_of(service, f"/{verb}")}"'
            assert link in browser.get(page_of(service)).text
            assert link not in browser_of(app, bob).get(page_of(service)).text

    def test_it_is_the_same_bytes_where_nothing_changed(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        path = page_of(alice.new_service())
        first = browser.get(path)
        again = browser.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304


class TestWhatWillHappen:
    CHECKS: Any = {
        "healthChecks": [
            {"name": "home page", "type": "http", "target": "https://shop.example"},
            {"name": "nightly", "type": "heartbeat"},
        ]
    }

    @pytest.fixture
    def service(self, alice: Person) -> dict[str, Any]:
        return alice.new_service(
            name="Shop DB", type="database", configuration=self.CHECKS,
            nextBilling="2030-05-06T00:00:00Z",
        )  # fmt: skip

    def test_suspending_tells_of_dependants_checks_and_billing(
        self, browser: FlaskClient, alice: Person, service: dict[str, Any]
    ) -> None:
        alice.new_service(name="Shop", dependencies=["Shop DB"])
        alice.new_service(name="Site", dependencies=["Shop"])
        page = text_of(browser.get(page_of(service, "/suspend")).text)
        assert "Suspend “Shop DB”?" in page
        assert "Shop active unknown" in page
        assert "Site active unknown by way of Shop" in page
        assert "1 check stops, and its health is unknown: home page" in page
        assert "1 heartbeat is no longer missed: nightly" in page
        assert "the next billing stays on 6 May 2030" in page

    def test_cancelling_tells_until_when_an_admin_can_restore_it(
        self,
        app: Flask,
        browser: FlaskClient,
        alice: Person,
        admin: Person,
        service: dict[str, Any],
    ) -> None:
        page = text_of(browser.get(page_of(service, "/cancel")).text)
        assert "Depend on it No other service." in page
        assert "nothing is due on 6 May 2030 any more" in page
        assert re.search(r"An admin can restore it until \d+ \w+ \d{4} \.", page)
        page = text_of(browser_of(app, admin).get(page_of(service, "/cancel")).text)
        assert "You can restore it until" in page

    def test_maintenance_lets_checks_go_on(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service(configuration=self.CHECKS)
        page = text_of(browser.get(page_of(service, "/maintenance")).text)
        assert "1 check goes on, but time in which it is down does not count: home page" in page
        assert "Metrics" not in page

    def test_what_rests_goes_on_resting_or_begins_again(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service(configuration=self.CHECKS, status="inactive")
        page = text_of(browser.get(page_of(service, "/cancel")).text)
        assert "They rest already, and go on resting." in page
        page = text_of(browser.get(page_of(service, "/resume")).text)
        assert "1 check begins again: home page" in page
        assert "1 heartbeat is waited for again: nightly" in page

    def test_what_is_not_possible_is_said(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service(name="Machine", type="vps")
        for verb in ("resume", "maintenance"):
            answer = browser.get(page_of(service, f"/{verb}"))
            assert answer.status_code == 409
            assert "That is not possible now: it is active." in text_of(answer.text)
        answer = browser.post(page_of(service, "/maintenance"))
        assert answer.status_code == 409
        assert status_of(alice, service) == "active"

    def test_hidden_dependants_are_counted_alone(
        self, app: Flask, alice: Person, bob: Person
    ) -> None:
        exporting = {"environment": {"URL": "https://x.example"}, "exports": ["URL"]}
        service = alice.new_service(
            name="Base", project=share(alice, bob, "editor"), configuration=exporting
        )
        taking = {"environment": {"BASE": f"${{{service['serviceId']}.URL}}"}}
        alice.new_service(name="Private thing", configuration=taking)
        page = browser_of(app, bob).get(page_of(service, "/suspend")).text
        assert "And 1 that you may not see." in page
        assert "Private thing" not in page


class TestChangingTheStatus:
    def test_suspending_is_undone_by_the_message(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service(type="vps")
        answer = browser.post(page_of(service, "/suspend"), data={"reason": " Not paid "})
        assert (answer.status_code, answer.headers["Location"]) == (303, page_of(service))
        page = browser.get(page_of(service)).text
        assert "Suspended." in text_of(page)
        assert status_of(alice, service) == "suspended"
        newest = data_of(alice.get(f"/api/audit?targetId={service['id']}&limit=1"))[0]
        assert newest["changes"]["reason"] == "Not paid"
        undo = undo_address(page)
        assert undo
        assert browser.post(undo).status_code == 303
        assert status_of(alice, service) == "active"
        page = browser.get(page_of(service)).text
        assert "Undone." in page
        assert undo_address(page) is None

    def test_undoing_goes_back_to_what_it_was(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        browser.post(page_of(service, "/maintenance"))
        browser.get(page_of(service))
        browser.post(page_of(service, "/suspend"))
        assert status_of(alice, service) == "inactive"
        # What another tab looks for in the page leaves the message to it.
        browser.get(page_of(service), headers={"X-Part-Of-Page": "1"})
        undo = undo_address(browser.get(page_of(service)).text)
        assert undo
        browser.post(undo)
        assert status_of(alice, service) == "maintenance"

    def test_undoing_does_nothing_once_somebody_changed_it_again(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service(name="Orders")
        browser.post(page_of(service, "/suspend"))
        undo = undo_address(browser.get(page_of(service)).text)
        assert undo
        for verb in ("resume", "suspend"):
            data_of(alice.post(f"/api/services/{service['id']}/{verb}", json={}))
        answer = browser.post(undo)
        assert answer.status_code == 409
        assert "“Orders” was changed again since then, and is inactive now" in answer.text
        assert status_of(alice, service) == "inactive"

    def test_what_is_so_already_is_said(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        assert browser.post(page_of(service, "/resume")).status_code == 303
        page = browser.get(page_of(service)).text
        assert "Nothing changed: it was so already." in page
        assert undo_address(page) is None

    @pytest.mark.parametrize("reason", ["x" * 1001, "nul \0 byte"])
    def test_a_bad_reason_is_kept_and_changes_nothing(
        self, browser: FlaskClient, alice: Person, reason: str
    ) -> None:
        service = alice.new_service()
        answer = browser.post(page_of(service, "/suspend"), data={"reason": reason})
        assert answer.status_code == 400
        assert 'aria-invalid="true"' in answer.text
        assert reason[:4] in answer.text
        assert status_of(alice, service) == "active"

    @pytest.mark.parametrize("typed", [None, "", "orders api", "Orders API "])
    def test_cancelling_takes_the_name_letter_by_letter(
        self, browser: FlaskClient, alice: Person, typed: str | None
    ) -> None:
        service = alice.new_service(name="Orders API")
        given = {"reason": "No longer needed"} | ({} if typed is None else {"name": typed})
        answer = browser.post(page_of(service, "/cancel"), data=given)
        assert answer.status_code == 400
        assert "This is not the name of the service, letter by letter." in answer.text
        assert 'value="No longer needed"' in answer.text
        assert status_of(alice, service) == "active"

    def test_cancelling_offers_no_undo_to_its_owner(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service(name="Orders <API>")
        answer = browser.post(page_of(service, "/cancel"), data={"name": "Orders <API>"})
        assert answer.status_code == 303
        page = browser.get(page_of(service)).text
        assert status_of(alice, service) == "cancelled"
        assert undo_address(page) is None
        assert "An admin can restore it until" in text_of(page)
        assert "data-dialog" not in page
        assert browser.post(page_of(service, "/restore")).status_code == 403
        assert browser.get(page_of(service, "/suspend")).status_code == 409

    @pytest.mark.parametrize("before", ["active", "suspended"])
    def test_an_admin_undoes_cancelling(
        self, app: Flask, alice: Person, admin: Person, before: str
    ) -> None:
        service = alice.new_service(name="Plan", type="hosting", status=before)
        browser = browser_of(app, admin)
        browser.post(page_of(service, "/cancel"), data={"name": "Plan"})
        undo = undo_address(browser.get(page_of(service)).text)
        assert undo
        assert browser.post(undo).status_code == 303
        assert status_of(alice, service) == before

    def test_an_admin_restores_it_from_its_page(
        self, app: Flask, alice: Person, admin: Person
    ) -> None:
        service = alice.new_service(name="Plan", type="hosting")
        data_of(alice.delete(f"/api/services/{service['id']}"))
        browser = browser_of(app, admin)
        path = page_of(service, "/restore")
        assert f'href="{path}"' in browser.get(page_of(service)).text
        assert "It comes back as active" in browser.get(path).text
        assert browser.post(path, data={"reason": "A mistake"}).status_code == 303
        assert status_of(alice, service) == "active"
        assert browser.get(path).status_code == 409

    def test_somebody_elses_is_a_page_that_says_so(
        self, browser: FlaskClient, charlie: Person
    ) -> None:
        service = charlie.new_service()
        ask: list[Callable[[str], Any]] = [browser.get, browser.post]
        for method in ask:
            for verb in ("suspend", "cancel"):
                answer = method(page_of(service, f"/{verb}"))
                assert answer.status_code == 403
                assert answer.mimetype == "text/html"
                assert answer.headers["X-Request-ID"] in answer.text
        assert browser.get("/services/none").status_code == 404
        assert status_of(charlie, service) == "active"
