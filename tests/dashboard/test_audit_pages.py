"""The audit trail, as pages."""

import html
import re
from datetime import timedelta

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from cms_services.clock import now
from cms_services.extensions import db
from tests.dashboard.conftest import SignIn
from tests.people import Person, data_of


def numbers(page: str) -> list[int]:
    """The numbers of the entries that a page lists, in its order."""
    return [int(each) for each in re.findall(r'<a href="/audit/(\d+)">', page)]


def said(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


class TestTheTrail:
    def test_it_tells_what_happened_newest_first(self, browser_of: SignIn, alice: Person) -> None:
        service = alice.new_service(name="Checkout")
        data_of(alice.patch(f"/api/services/{service['id']}", json={"name": "Till"}))
        page = browser_of(alice).get("/audit").text
        shown = numbers(page)
        assert shown == sorted(shown, reverse=True)
        assert len(shown) == 3
        told = said(page.partition('id="entries"')[2])
        assert told.index("Service changed") < told.index("Service created")
        assert "Checkout" in told and "Till" in told
        assert f'href="/services/{service["serviceId"]}"' in page

    def test_each_sees_its_own_and_an_admin_all(
        self, browser_of: SignIn, alice: Person, bob: Person, admin: Person
    ) -> None:
        alice.new_service(name="Checkout")
        assert "Checkout" not in browser_of(bob).get("/audit").text
        everything = browser_of(admin).get("/audit")
        assert "Checkout" in everything.text
        assert 'href="/audit/verification"' in everything.text
        assert "/audit/verification" not in browser_of(alice).get("/audit").text

    def test_it_filters(self, browser_of: SignIn, alice: Person, admin: Person) -> None:
        first, second = (alice.new_service(name=name) for name in ("First", "Second"))
        data_of(alice.post(f"/api/services/{first['id']}/suspend"))
        browser = browser_of(admin)
        today = now().date()
        for query, found in (
            (f"subject={first['serviceId']}", 2),
            (f"subject={second['id']}", 1),
            ("action=service.created", 2),
            ("actor=ALI&action=service.created", 2),
            ("actor=ada&action=service.created", 0),
            (f"since={today}&action=service.created", 2),
            (f"since={today + timedelta(days=1)}", 0),
            (f"until={today}&action=service.created", 2),
            (f"until={today - timedelta(days=1)}", 0),
            ("subject=nothing", 0),
            ("actor=%25", 0),
        ):
            page = browser.get(f"/audit?{query}")
            assert page.status_code == 200
            assert len(numbers(page.text)) == found, query
            assert ("Nothing matches" in page.text) == (found == 0)

    def test_a_day_that_is_none_is_said_and_kept(self, browser_of: SignIn, alice: Person) -> None:
        browser = browser_of(alice)
        for day in ("yesterday", "2030-02-30", "9999-12-31"):
            refused = browser.get("/audit", query_string={"until": day, "actor": "Alice"})
            assert refused.status_code == 400
            assert "Takes a day such as 2030-01-31." in refused.text
            assert f'value="{day}"' in refused.text
        assert browser.get("/audit?cursor=nonsense").status_code == 400
        assert browser.get("/audit?actor=%00").status_code == 200

    def test_it_goes_on_over_pages_with_its_filter(self, browser_of: SignIn, alice: Person) -> None:
        for number in range(51):
            alice.new_service(name=f"Service {number:02}")
        browser = browser_of(alice)
        first = browser.get("/audit?action=service.created").text
        assert len(numbers(first)) == 50
        following = re.search(r'href="(/audit\?cursor=[^"]+)"', first)
        assert following
        second = browser.get(html.unescape(following[1])).text
        assert len(numbers(second)) == 1
        assert "Service 00" in second

    def test_its_export_is_of_the_same_days(self, browser_of: SignIn, alice: Person) -> None:
        alice.new_service(name="Checkout")
        browser = browser_of(alice)
        today = now().date()
        page = browser.get(f"/audit?since={today}&until={today}").text
        link = re.search(r'href="(/api/audit/export[^"]*)"', page)
        assert link
        lines = browser.get(html.unescape(link[1])).text.splitlines()
        assert sum('"service.created"' in line for line in lines) == 1
        past = browser.get(f"/audit?until={today - timedelta(days=1)}").text
        link = re.search(r'href="(/api/audit/export[^"]*)"', past)
        assert link
        assert browser.get(html.unescape(link[1])).text == ""


class TestAnEntry:
    def test_it_tells_all_there_is(self, browser_of: SignIn, alice: Person) -> None:
        service = alice.new_service(name="Checkout")
        browser = browser_of(alice)
        entry = data_of(alice.get("/api/audit?action=service.created"))[0]
        page = said(browser.get(f"/audit/{entry['id']}").text)
        for told in ("service.created", "Alice", entry["requestId"], "Checkout", service["id"]):
            assert told in page

    def test_somebody_elses_is_not_there(
        self, browser_of: SignIn, alice: Person, bob: Person
    ) -> None:
        alice.new_service()
        entry = data_of(alice.get("/api/audit?action=service.created"))[0]
        assert browser_of(bob).get(f"/audit/{entry['id']}").status_code == 404
        assert browser_of(bob).get("/audit/0").status_code == 404
        assert browser_of(bob).get(f"/audit/{10**30}").status_code == 404

    def test_its_texts_stay_text(self, browser_of: SignIn, alice: Person) -> None:
        alice.new_service(name="<script>alert(1)</script>")
        browser = browser_of(alice)
        entry = data_of(alice.get("/api/audit?action=service.created"))[0]
        for path in ("/audit", f"/audit/{entry['id']}"):
            page = browser.get(path).text
            assert "<script>alert" not in page
            assert "&lt;script&gt;" in page


class TestVerifying:
    def verify(self, browser: FlaskClient) -> str:
        answer = browser.post("/audit/verification")
        assert answer.status_code == 200, answer.text
        return said(answer.text)

    def test_it_tells_whether_all_is_as_it_was_written(
        self, app: Flask, browser_of: SignIn, alice: Person, admin: Person
    ) -> None:
        alice.new_service(name="Checkout")
        browser = browser_of(admin)
        assert "Verify now" in browser.get("/audit/verification").text
        assert "All entries are as they were written." in self.verify(browser)
        entry = data_of(alice.get("/api/audit?action=service.created"))[0]
        with app.app_context(), db.engine.begin() as connection:
            edit = text("UPDATE audit_entries SET actor_name = 'Somebody' WHERE id = :id")
            connection.execute(edit, {"id": int(entry["id"])})
        told = self.verify(browser)
        assert "Not all of it is as it was written" in told
        assert f"entry {entry['id']}: edited" in told
        german = browser.post("/audit/verification", headers={"Accept-Language": "de"}).text
        assert f"Eintrag {entry['id']}: geändert" in said(german)

    def test_it_is_for_admins_alone(self, browser_of: SignIn, alice: Person) -> None:
        browser = browser_of(alice)
        assert browser.get("/audit/verification").status_code == 403
        assert browser.post("/audit/verification").status_code == 403
