"""The list of services, as a browser without JavaScript uses it."""

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from cms_services.vocabulary import Role
from tests.conftest import NewPerson
from tests.dashboard.browsing import signed_in
from tests.people import Person, data_of

CARD = re.compile(r'<li class="card service" id="service-([^"]+)">(.*?)</li>', re.DOTALL)


def names(page: str) -> list[str]:
    """The services that a page shows as cards, in their order."""
    return [re.findall(r"<h2><a[^>]*>([^<]*)</a>", card)[0] for _, card in CARD.findall(page)]


def health_in(page: str, name: str) -> str:
    card = next(card for _, card in CARD.findall(page) if f">{name}</a>" in card)
    return re.findall(r'class="health (\w+)"', card)[0]


def link(page: str, words: str) -> str:
    """The address of the link with these words."""
    found = re.search(rf'href="([^"]+)"[^>]*>(?:<svg.*?</svg>)?\s*{words}', page)
    assert found, words
    return html.unescape(found[1])


class TestTheList:
    def test_an_empty_one_says_what_to_do(self, browser: FlaskClient) -> None:
        page = browser.get("/").text
        assert "No service yet" in page
        assert link(page, "New service") == "/services/new"
        assert "Nothing matches" in browser.get("/?q=x").text

    def test_a_card_has_what_the_cms_shows(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service(
            name="Cluster",
            type="kubernetes",
            project="shop",
            tags=["eu", "big"],
            startDate="2026-01-05T00:00:00Z",
            nextBilling="2026-12-24T00:00:00Z",
        )
        ((row_id, card),) = CARD.findall(browser.get("/").text)
        assert row_id == service["id"]
        for shown in (
            "Kubernetes",
            "shop",
            service["serviceId"],
            service["billingId"],
            service["clusterId"],
            "5 Jan 2026",
            "24 Dec 2026",
            'class="badge active"',
            'class="health unknown"',
            "icons.svg#box",
            'href="/?tag=eu"',
        ):
            assert shown in card, shown

    def test_it_is_paged_and_each_page_follows_the_other(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        for number in range(49):
            alice.new_service(name=f"Service {number:02}", type=("api", "vps")[number % 2])
        first = browser.get("/?sort=name").text
        assert names(first) == [f"Service {number:02}" for number in range(48)]
        second = browser.get(link(first, "Next page")).text
        assert names(second) == ["Service 48"]
        assert link(second, "First page") == "/?sort=name"
        # The whole first page, whatever came before the second one meanwhile.
        assert names(browser.get(link(second, "Previous page")).text) == names(first)
        for number in range(48):
            alice.new_service(name=f"A {number:02}")
        before = browser.get(link(second, "Previous page")).text
        assert names(before) == [f"Service {number:02}" for number in range(48)]
        assert names(browser.get(link(before, "Next page")).text) == ["Service 48"]
        before = browser.get(link(before, "Previous page")).text
        assert names(before) == [f"A {number:02}" for number in range(48)]
        assert 'rel="prev"' not in before
        turned = browser.get("/?sort=-createdAt").text
        assert names(turned)[0] == "A 47"
        # A cursor of another order is no reason to refuse the page.
        cursor = parse_qs(urlsplit(link(first, "Next page")).query)["cursor"][0]
        assert names(browser.get(f"/?sort=-createdAt&cursor={cursor}").text)[0] == "A 47"

    def test_names_stay_text(self, browser: FlaskClient, alice: Person) -> None:
        alice.new_service(name="<script>alert(1)</script>")
        page = browser.get("/").text
        assert "<script>" not in page
        assert "&lt;script&gt;" in page

    def test_cards_or_rows_are_remembered(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        kept = {"services_view": "list", "back": "/?q=orders"}
        answer = browser.post("/preferences", data=kept)
        assert answer.headers["Location"] == "/?q=orders"
        page = browser.get("/?q=orders").text
        assert names(page) == []
        assert f'<tr id="service-{service["id"]}">' in page
        browser.post("/preferences", data={"services_view": "cards"})
        assert names(browser.get("/").text) == ["Orders API"]

    def test_the_number_of_statements_stays(
        self, browser: FlaskClient, alice: Person, statements: list[str]
    ) -> None:
        def asked() -> int:
            statements.clear()
            assert browser.get("/").status_code == 200
            return len(statements)

        alice.new_service(name="One", tags=["a"])
        few = asked()
        for number in range(7):
            alice.new_service(name=f"S{number}", project="p", tags=["a", "b"])
        assert asked() == few


class TestNarrowing:
    @pytest.fixture(autouse=True)
    def services(self, alice: Person) -> None:
        alice.new_service(name="Shop API", project="shop", tags=["eu"])
        alice.new_service(name="Shop plan", type="hosting", project="shop", tags=["eu", "old"])
        alice.new_service(name="Machine", type="vps", status="suspended")
        gone = alice.new_service(name="Gone", type="vps")
        data_of(alice.delete(f"/api/services/{gone['id']}?confirm=Gone"))

    @pytest.mark.parametrize(
        ("query", "shown"),
        [
            ("", ["Machine", "Shop API", "Shop plan"]),
            ("status=all", ["Gone", "Machine", "Shop API", "Shop plan"]),
            ("status=cancelled", ["Gone"]),
            ("status=suspended", ["Machine"]),
            ("family=subscription", ["Machine", "Shop plan"]),
            ("type=hosting", ["Shop plan"]),
            ("family=component&type=hosting", ["Shop plan"]),
            ("q=SHOP", ["Shop API", "Shop plan"]),
            ("project=shop&tag=old", ["Shop plan"]),
            ("project=none", []),
            ("tag=eu&family=component", ["Shop API"]),
            ("health=unknown", ["Machine", "Shop API", "Shop plan"]),
            ("health=healthy", []),
            (
                "type=nonsense&status=x&health=y&sort=z&family=q",
                ["Machine", "Shop API", "Shop plan"],
            ),
            ("q=%00&project=%00", ["Machine", "Shop API", "Shop plan"]),
        ],
    )
    def test_by_each_of_its_fields(
        self, browser: FlaskClient, query: str, shown: list[str]
    ) -> None:
        assert names(browser.get(f"/?{query}").text) == shown

    def test_tabs_count_and_keep_the_rest(self, browser: FlaskClient) -> None:
        page = browser.get("/?tag=eu&q=shop").text
        counts = re.findall(r'<a href="[^"]*"[^>]*>([\w ]+) <span class="count">(\d+)<', page)
        assert dict(counts) == {"All services": "2", "Subscriptions": "1", "Components": "1"}
        inside = browser.get(link(page, "Subscriptions")).text
        assert names(inside) == ["Shop plan"]
        assert link(inside, "Hosting") == "/?q=shop&type=hosting&tag=eu"
        assert link(inside, "All services") == "/?q=shop&tag=eu"

    def test_the_address_to_keep_has_nothing_empty(self, browser: FlaskClient) -> None:
        answer = browser.get("/?q=shop&status=&health=&project=&tag=eu&sort=")
        assert answer.headers["HX-Push-Url"] == "/?q=shop&tag=eu"


class TestHealth:
    def test_each_card_has_it_as_last_found(self, browser: FlaskClient, alice: Person) -> None:
        services: dict[str, Any] = {}
        for name in ("Beats", "Fails", "Silent"):
            check = {"healthChecks": [{"name": "job", "type": "heartbeat"}]}
            services[name] = alice.new_service(name=name, configuration=check)
        for name, status in (("Beats", "ok"), ("Fails", "fail")):
            path = f"/api/services/{services[name]['id']}"
            beat = {"status": status} if status == "fail" else {}
            alice.post(f"{path}/heartbeats/job", json=beat)
            data_of(alice.post(f"{path}/health"))
        page = browser.get("/").text
        said = {each: data_of(alice.get(f"/api/services/{services[each]['id']}/health"))["status"]
                for each in services}  # fmt: skip
        assert {each: health_in(page, each) for each in services} == said
        for status in set(said.values()):
            expected = sorted(each for each in services if said[each] == status)
            assert names(browser.get(f"/?health={status}").text) == expected
            listed = data_of(alice.get(f"/api/services?health={status}&sort=name"))
            assert [each["name"] for each in listed] == expected


class TestWhatOneMay:
    def test_a_viewer_sees_and_selects_nothing(
        self, client: FlaskClient, alice: Person, bob: Person
    ) -> None:
        shared = alice.new_service(name="Shared", project="shop")
        project = next(iter(data_of(alice.get("/api/projects"))))
        member = f"/api/projects/{project['id']}/members/{bob.user_id}"
        data_of(alice.put(member, json={"role": "viewer"}))
        browser = signed_in(client, bob)
        page = browser.get("/").text
        assert names(page) == ["Shared"]
        assert 'name="id"' not in page
        assert "bulk-selection" not in page
        data_of(alice.put(member, json={"role": "editor"}))
        assert f'name="id" value="{shared["serviceId"]}"' in browser.get("/").text

    def test_a_viewer_selects_what_is_its_own(
        self, client: FlaskClient, alice: Person, bob: Person
    ) -> None:
        shared = alice.new_service(name="Shared", project="shop")
        project = next(iter(data_of(alice.get("/api/projects"))))
        data_of(
            alice.put(
                f"/api/projects/{project['id']}/members/{bob.user_id}", json={"role": "viewer"}
            )
        )
        own = bob.new_service(name="Own")
        page = signed_in(client, bob).get("/").text
        assert f'name="id" value="{own["serviceId"]}"' in page
        assert f'name="id" value="{shared["serviceId"]}"' not in page

    def test_an_admin_selects_all(self, client: FlaskClient, alice: Person, admin: Person) -> None:
        service = alice.new_service()
        page = signed_in(client, admin).get("/").text
        assert f'name="id" value="{service["serviceId"]}"' in page

    def test_a_guest_has_no_list(self, client: FlaskClient, new_person: NewPerson) -> None:
        browser = signed_in(client, new_person("Gus", Role.GUEST))
        assert browser.get("/").status_code == 403
        assert browser.get("/services/new").status_code == 403
