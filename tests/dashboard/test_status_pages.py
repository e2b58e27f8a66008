"""Public status pages and badges: what they tell to everybody, and what they never tell."""

import html
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cms_services.clock import fixed_at, now
from cms_services.dashboard.badges import text_width
from cms_services.web.status_cache import init_status_cache
from tests.conftest import MakeApp, NewPerson
from tests.dashboard.browsing import signed_in
from tests.dashboard.standing import CHECKED, let_have_been, let_stand
from tests.people import Person, data_of, error_of

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_is_kept(request: pytest.FixtureRequest) -> None:
    """Tests share an application, and what it keeps of pages would outlive them."""
    if "app" in request.fixturenames:
        init_status_cache(request.getfixturevalue("app"))


@pytest.fixture
def noon() -> Iterator[datetime]:
    """All of a test happens at one noon."""
    with fixed_at(NOON):
        yield NOON


@pytest.fixture
def project(alice: Person) -> dict[str, Any]:
    made: dict[str, Any] = data_of(alice.post("/api/projects", json={"name": "Inner name"}), 201)
    return made


@pytest.fixture
def gateway(alice: Person, project: dict[str, Any]) -> dict[str, Any]:
    return alice.new_service(name="Inner gateway", project=project["name"], configuration=CHECKED)


@pytest.fixture
def store(alice: Person, project: dict[str, Any]) -> dict[str, Any]:
    return alice.new_service(name="Inner store", project=project["name"], configuration=CHECKED)


def show(
    person: Person, project: dict[str, Any], shown: dict[str, str], **more: Any
) -> dict[str, Any]:
    """Show services to everybody, by their numbers and public names, at /status/shop."""
    body = {
        "enabled": True,
        "slug": "shop",
        "title": "Our shop",
        "services": [{"serviceId": number, "name": name} for number, name in shown.items()],
    }
    path = f"/api/projects/{project['id']}/status-page"
    found: dict[str, Any] = data_of(person.put(path, json=body | more))
    return found


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def days_of(page: str, name: str) -> list[str]:
    """What the bars of a service say, the oldest day first."""
    service = next(
        each for each in re.findall(r"<li class=.*?</li>", page, re.DOTALL) if f">{name}<" in each
    )
    return [html.unescape(each) for each in re.findall(r"<title>([^<]+)</title>", service)]


@pytest.mark.usefixtures("noon")
class TestThePage:
    def test_it_tells_states_uptime_and_incidents_and_nothing_else(
        self,
        client: FlaskClient,
        app: Flask,
        alice: Person,
        project: dict[str, Any],
        gateway: dict[str, Any],
        store: dict[str, Any],
    ) -> None:
        hidden = alice.new_service(name="Inner secret", project=project["name"])
        let_stand(app, {gateway["id"]: "unhealthy"}, NOON - HOUR, message="10.3.4.5:8443 refused")
        let_stand(app, {store["id"]: "healthy"}, NOON - HOUR)
        let_have_been(
            app,
            (gateway, "healthy", NOON - 3 * DAY, NOON - 2 * DAY),
            (gateway, "unhealthy", NOON - 2 * DAY, NOON - 2 * DAY + 2 * HOUR),
            (store, "maintenance", NOON - 40 * DAY - 6 * HOUR, NOON - 40 * DAY),
        )
        show(alice, project, {gateway["serviceId"]: "Payments", store["serviceId"]: "Orders"})
        answer = client.get("/status/shop")
        assert answer.status_code == 200
        told = text_of(answer.text)
        assert "Our shop" in told
        assert "Something does not work" in told
        assert re.search(r"Payments .*unhealthy", told)
        assert re.search(r"Orders .*healthy", told)
        assert "18 May 2026, 12:00 – 14:00 2 hours" in told
        assert re.search(r"20 May 2026, 11:00 ongoing", told)
        payments = days_of(answer.text, "Payments")
        assert len(payments) == 90
        assert payments[0] == "20 Feb 2026: unknown"
        assert payments[-4:] == [
            "17 May 2026: 100 %",
            "18 May 2026: 85.71 %, down for 2 hours",
            "19 May 2026: unknown",
            "20 May 2026: 0 %, down for 1 hour",
        ]
        assert "10 Apr 2026: maintenance" in days_of(answer.text, "Orders")
        for inner in (gateway, store, hidden):
            for word in (inner["id"], inner["serviceId"], inner["name"]):
                assert word not in answer.text
        for word in (project["id"], project["name"], alice.user_id, alice.email, "10.3.4.5"):
            assert word not in answer.text

    def test_services_that_left_are_no_longer_shown(
        self,
        client: FlaskClient,
        alice: Person,
        project: dict[str, Any],
        gateway: dict[str, Any],
        store: dict[str, Any],
    ) -> None:
        show(alice, project, {gateway["serviceId"]: "Payments", store["serviceId"]: "Orders"})
        data_of(alice.post("/api/projects", json={"name": "Elsewhere"}), 201)
        data_of(alice.patch(f"/api/services/{store['id']}", json={"project": "Elsewhere"}))
        with fixed_at(NOON + timedelta(minutes=1)):
            assert "Orders" not in client.get("/status/shop").text
            data_of(alice.delete(f"/api/services/{gateway['id']}"))
        with fixed_at(NOON + timedelta(minutes=2)):
            page = client.get("/status/shop").text
        assert "Payments" not in page
        assert "Nothing is known" in page

    @on_sqlite
    @pytest.mark.parametrize(
        ("states", "sentence"),
        [
            (("healthy", "healthy"), "Everything works"),
            (("healthy", "degraded"), "Something is slow or limited"),
            (("healthy", "unhealthy"), "Something does not work"),
            (("unhealthy", "unhealthy"), "Nothing works"),
            ((None, "healthy"), "Everything works"),
            ((None, None), "Nothing is known at present"),
        ],
    )
    def test_the_worst_that_is_known_is_said_on_top(
        self,
        client: FlaskClient,
        app: Flask,
        alice: Person,
        project: dict[str, Any],
        gateway: dict[str, Any],
        store: dict[str, Any],
        states: tuple[str | None, str | None],
        sentence: str,
    ) -> None:
        for service, state in zip((gateway, store), states, strict=True):
            if state is not None:
                let_stand(app, {service["id"]: state}, NOON - HOUR)
        show(alice, project, {gateway["serviceId"]: "Payments", store["serviceId"]: "Orders"})
        assert sentence in client.get("/status/shop").text

    @on_sqlite
    def test_unhealthy_again_within_minutes_is_one_incident(
        self,
        client: FlaskClient,
        app: Flask,
        alice: Person,
        project: dict[str, Any],
        store: dict[str, Any],
    ) -> None:
        start = NOON - 5 * DAY
        minute = timedelta(minutes=1)
        let_have_been(
            app,
            (store, "unhealthy", start, start + 10 * minute),
            (store, "healthy", start + 10 * minute, start + 13 * minute),
            (store, "unhealthy", start + 13 * minute, start + 30 * minute),
            (store, "unhealthy", start + 3 * HOUR, start + 4 * HOUR),
        )
        show(alice, project, {store["serviceId"]: "Orders"})
        told = text_of(client.get("/status/shop").text)
        assert "15 May 2026, 12:00 – 12:30 30 minutes" in told
        assert "15 May 2026, 15:00 – 16:00 1 hour" in told
        assert told.count("15 May 2026, 1") == 2

    @on_sqlite
    def test_names_stay_text(
        self, client: FlaskClient, alice: Person, project: dict[str, Any], store: dict[str, Any]
    ) -> None:
        show(alice, project, {store["serviceId"]: "<b>&\"'"}, title="</title><script>")
        page = client.get("/status/shop").text
        assert "<b>" not in page
        assert "</title><script>" not in page
        badge = ElementTree.fromstring(client.get("/status/shop/b/badge.svg").data)
        assert "<b>&\"': unknown" in "".join(badge.itertext())


class TestOptingIn:
    def test_off_and_unknown_are_answered_alike(
        self, client: FlaskClient, alice: Person, project: dict[str, Any], store: dict[str, Any]
    ) -> None:
        shown = {store["serviceId"]: "Orders"}
        paths = ("/status/{}", "/status/{}/badge.svg", "/status/{}/orders/badge.svg")
        assert [client.get(path.format("shop")).status_code for path in paths] == [404] * 3
        show(alice, project, shown)
        assert [client.get(path.format("shop")).status_code for path in paths] == [200] * 3
        show(alice, project, shown, enabled=False)
        for path in paths:
            odd = [client.get(path.format(slug)) for slug in ("%00", "UP", "x" * 300)]
            assert {each.status_code for each in odd} == {404}
            off, unknown = (client.get(path.format(slug)) for slug in ("shop", "none"))
            assert off.status_code == unknown.status_code == 404
            # Each has its own address and request id in it.
            off_page = off.text.replace("/shop", "/none").replace(off.headers["X-Request-ID"], "")
            assert off_page == unknown.text.replace(unknown.headers["X-Request-ID"], "")
        assert client.get("/status/shop/none/badge.svg").status_code == 404

    def test_another_address_is_seen_at_once(
        self, client: FlaskClient, alice: Person, project: dict[str, Any], store: dict[str, Any]
    ) -> None:
        assert client.get("/status/new").status_code == 404
        show(alice, project, {store["serviceId"]: "Orders"})
        assert client.get("/status/shop").status_code == 200
        show(alice, project, {store["serviceId"]: "Orders"}, slug="new")
        assert client.get("/status/shop").status_code == 404
        assert client.get("/status/new").status_code == 200


class TestCaching:
    @on_sqlite
    def test_a_storm_of_strangers_reaches_the_database_once(
        self,
        app: Flask,
        alice: Person,
        project: dict[str, Any],
        store: dict[str, Any],
        statements: list[str],
    ) -> None:
        show(alice, project, {store["serviceId"]: "Orders"})
        statements.clear()
        statuses: list[int] = []

        def ask() -> None:
            browser = app.test_client()
            statuses.extend(browser.get("/status/shop").status_code for _ in range(5))
            statuses.extend(browser.get("/status/none").status_code for _ in range(5))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] * 40 + [404] * 40
        # The page, its services and their periods; and that there is none at the other address.
        assert len(statements) == 4

    @on_sqlite
    def test_after_half_a_minute_it_is_read_anew(
        self,
        client: FlaskClient,
        app: Flask,
        alice: Person,
        project: dict[str, Any],
        store: dict[str, Any],
    ) -> None:
        show(alice, project, {store["serviceId"]: "Orders"})
        start = now()
        assert "Nothing is known" in client.get("/status/shop").text
        let_stand(app, {store["id"]: "healthy"})
        with fixed_at(start + timedelta(seconds=29)):
            assert "Nothing is known" in client.get("/status/shop").text
        with fixed_at(start + timedelta(seconds=31)):
            assert "Everything works" in client.get("/status/shop").text
        with fixed_at(start - DAY):
            # A clock that was set back keeps nothing.
            assert "Everything works" in client.get("/status/shop").text

    @on_sqlite
    def test_others_may_keep_it_for_a_while(
        self, client: FlaskClient, alice: Person, project: dict[str, Any], store: dict[str, Any]
    ) -> None:
        show(alice, project, {store["serviceId"]: "Orders"})
        for path, seconds in (("/status/shop", 30), ("/status/shop/badge.svg", 60)):
            answer = client.get(path)
            assert answer.headers["Cache-Control"] == f"public, max-age={seconds}"
            assert {"Cookie", "Accept-Language"} <= set(answer.vary)
            assert "Set-Cookie" not in answer.headers
            again = client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
            assert (again.status_code, again.data) == (304, b"")

    @on_sqlite
    def test_strangers_are_limited_by_their_address(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(RATE_LIMITS="on", RATE_LIMIT_ANONYMOUS="3 per minute")
        client = app.test_client()
        answers = [client.get("/status/none").status_code for _ in range(5)]
        assert answers == [404, 404, 404, 429, 429]


class TestBadges:
    def texts_of(self, client: FlaskClient, path: str, **headers: str) -> list[str]:
        answer = client.get(path, headers=headers)
        assert answer.mimetype == "image/svg+xml"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        svg = ElementTree.fromstring(answer.data)
        told = [each for each in svg.iter() if each.tag.partition("}")[2] in ("title", "text")]
        title, *texts = [each.text or "" for each in told]
        assert title == ": ".join(texts)
        return texts

    def test_they_say_state_and_uptime(
        self,
        client: FlaskClient,
        app: Flask,
        alice: Person,
        project: dict[str, Any],
        gateway: dict[str, Any],
        store: dict[str, Any],
    ) -> None:
        present = now()
        let_stand(app, {gateway["id"]: "unhealthy"}, present - HOUR)
        let_have_been(
            app,
            (store, "healthy", present - 30 * DAY, present - 10 * HOUR),
            (store, "unhealthy", present - 10 * HOUR, present - 9 * HOUR),
        )
        show(alice, project, {gateway["serviceId"]: "Payments", store["serviceId"]: "Orders & co"})
        path = "/status/shop"
        assert self.texts_of(client, f"{path}/badge.svg") == ["Our shop", "unhealthy"]
        orders = f"{path}/orders-co/badge.svg"
        assert self.texts_of(client, orders) == ["Orders & co", "unknown"]
        assert self.texts_of(client, f"{orders}?kind=uptime") == ["Orders & co", "99.85 %"]
        assert self.texts_of(client, f"{orders}?kind=state", **{"Accept-Language": "de"}) == [
            "Orders & co",
            "unbekannt",
        ]
        assert client.get(f"{orders}?kind=other").status_code == 400


def test_a_text_takes_the_width_of_its_letters() -> None:
    assert text_width("") == 0
    assert text_width("iii") < text_width("eee") < text_width("WWW") <= text_width("日本語")
    assert text_width("e\u0301") == text_width("e")


class TestSettingsByRest:
    def test_they_are_the_owners_and_leave_an_entry_and_an_event(
        self,
        alice: Person,
        bob: Person,
        project: dict[str, Any],
        store: dict[str, Any],
    ) -> None:
        path = f"/api/projects/{project['id']}/status-page"
        assert data_of(alice.get(path)) == {
            "enabled": False,
            "slug": None,
            "title": "Inner name",
            "services": [],
        }
        saved = show(alice, project, {store["id"]: "Orders"})
        assert saved["services"] == [
            {"serviceId": store["serviceId"], "name": "Orders", "key": "orders"}
        ]
        assert data_of(alice.get(path)) == saved
        error_of(bob.get(path), 403, "FORBIDDEN")
        members = f"/api/projects/{project['id']}/members/{bob.user_id}"
        for role in ("viewer", "editor"):
            data_of(alice.put(members, json={"role": role}))
            assert data_of(bob.get(path)) == saved
            error_of(bob.put(path, json=saved), 403, "FORBIDDEN")
        entry = data_of(alice.get("/api/audit?action=project.status_page_changed"))[0]
        assert entry["changes"]["before"]["enabled"] is False
        assert entry["changes"]["after"]["services"] == {store["serviceId"]: "Orders"}
        (event,) = data_of(alice.get("/api/events?type=project.status_page_changed"))
        assert event["subject"] == project["id"]

    def test_keys_stay_as_they_are(
        self,
        alice: Person,
        project: dict[str, Any],
        store: dict[str, Any],
        gateway: dict[str, Any],
    ) -> None:
        both = {store["serviceId"]: "Same", gateway["serviceId"]: "Same"}
        saved = show(alice, project, both)
        assert [each["key"] for each in saved["services"]] == ["same", "same-2"]
        renamed = show(alice, project, {gateway["serviceId"]: "日本", store["serviceId"]: "New"})
        assert [each["key"] for each in renamed["services"]] == ["same-2", "same"]
        chosen = [{"serviceId": store["serviceId"], "name": "New", "key": "same-2"}]
        chosen += [{"serviceId": gateway["serviceId"], "name": "日本"}]
        again = show(alice, project, {}, services=chosen)
        assert [each["key"] for each in again["services"]] == ["same-2", "service"]

    def test_an_address_belongs_to_one_page(
        self, alice: Person, bob: Person, project: dict[str, Any], store: dict[str, Any]
    ) -> None:
        show(alice, project, {store["serviceId"]: "Orders"})
        other = data_of(bob.post("/api/projects", json={"name": "Other"}), 201)
        service = bob.new_service(project="Other")
        body = {"enabled": True, "slug": "shop", "title": "x"}
        body |= {"services": [{"serviceId": service["id"], "name": "x"}]}
        path = f"/api/projects/{other['id']}/status-page"
        error_of(bob.put(path, json=body), 409, "CONFLICT")
        assert data_of(bob.get(path))["enabled"] is False
        # Pages without an address don't meet.
        for person, which in ((alice, project), (bob, other)):
            off = {"enabled": False, "title": "x"}
            data_of(person.put(f"/api/projects/{which['id']}/status-page", json=off))

    def test_who_saved_first_is_not_overwritten(
        self, alice: Person, project: dict[str, Any], store: dict[str, Any]
    ) -> None:
        path = f"/api/projects/{project['id']}/status-page"
        tag = alice.get(path).headers["ETag"]
        show(alice, project, {store["serviceId"]: "Orders"})
        body = {"enabled": False, "title": "x"}
        answer = alice.put(path, json=body, headers={"If-Match": tag})
        error_of(answer, 412, "VERSION_CONFLICT")
        tag = alice.get(path).headers["ETag"]
        data_of(alice.put(path, json=body, headers={"If-Match": tag}))

    @on_sqlite
    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"slug": None}, "slug"),
            ({"slug": "Shop"}, "slug"),
            ({"slug": "a--b"}, "slug"),
            ({"slug": "shop\n"}, "slug"),
            ({"slug": "x" * 65}, "slug"),
            ({"title": " "}, "title"),
            ({"title": None}, "title"),
            ({"services": []}, "services"),
            ({"services": [{"serviceId": "none", "name": "x"}]}, "services.0.serviceId"),
            ({"services": [{"serviceId": "own", "name": ""}]}, "services.0.name"),
            ({"services": [{"serviceId": "own", "name": "x", "key": "A"}]}, "services.0.key"),
            ({"services": [{"serviceId": "own", "name": "x"}] * 2}, "services.1.serviceId"),
            ({"services": [{"serviceId": "own", "name": "x"}] * 101}, "services"),
            ({"other": 1}, "other"),
        ],
        ids=str,
    )
    def test_what_is_odd_is_refused_by_its_place(
        self,
        alice: Person,
        project: dict[str, Any],
        store: dict[str, Any],
        change: dict[str, Any],
        place: str,
    ) -> None:
        own = [{"serviceId": store["serviceId"], "name": "Orders"}]
        body = {"enabled": True, "slug": "shop", "title": "x", "services": own} | change
        for each in body["services"] or ():
            if each["serviceId"] == "own":
                each["serviceId"] = store["serviceId"]
        path = f"/api/projects/{project['id']}/status-page"
        error = error_of(alice.put(path, json=body), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == [place]

    def test_services_of_others_cant_be_shown(
        self, alice: Person, bob: Person, project: dict[str, Any]
    ) -> None:
        stranger = bob.new_service(name="Bobs")
        elsewhere = alice.new_service(name="In no project")
        for service in (stranger, elsewhere):
            body = {"enabled": True, "slug": "shop", "title": "x"}
            body |= {"services": [{"serviceId": service["id"], "name": "x"}]}
            path = f"/api/projects/{project['id']}/status-page"
            error = error_of(alice.put(path, json=body), 400, "VALIDATION_ERROR")
            assert list(error["details"]) == ["services.0.serviceId"]

    @on_sqlite
    def test_a_project_takes_its_page_along(
        self, client: FlaskClient, alice: Person, project: dict[str, Any]
    ) -> None:
        data_of(
            alice.put(
                f"/api/projects/{project['id']}/status-page",
                json={"enabled": False, "slug": "shop", "title": "x"},
            )
        )
        data_of(alice.delete(f"/api/projects/{project['id']}"))
        other = data_of(alice.post("/api/projects", json={"name": "Other"}), 201)
        service = alice.new_service(project="Other")
        show(alice, other, {service["serviceId"]: "Orders"})
        assert client.get("/status/shop").status_code == 200


class TestTheForm:
    def form_on(self, page: str) -> dict[str, Any]:
        version = re.search(r'name="version" value="([^"]+)"', page)
        assert version
        return {"version": version[1]}

    def test_it_saves_what_was_chosen(
        self,
        client: FlaskClient,
        alice: Person,
        project: dict[str, Any],
        store: dict[str, Any],
        gateway: dict[str, Any],
    ) -> None:
        browser = signed_in(client, alice)
        path = f"/projects/{project['id']}/status-page"
        page = browser.get(path).text
        assert f'value="{store["serviceId"]}"' in page
        form = self.form_on(page) | {
            "enabled": "yes",
            "title": "Our shop",
            "slug": "shop",
            "shown": [store["serviceId"]],
            f"name-{store['serviceId']}": "Orders",
            f"name-{gateway['serviceId']}": "Payments",
        }
        answer = browser.post(path, data=form)
        assert (answer.status_code, answer.headers["Location"]) == (303, path)
        page = browser.get(path).text
        assert "The page is on." in page
        assert 'value="Orders"' in page
        assert "/status/shop/orders/badge.svg" in page
        shown = client.get("/status/shop").text
        assert "Orders" in shown
        assert "Payments" not in shown
        again = browser.post(path, data=form)
        assert again.status_code == 409
        assert "Somebody else changed" in again.text
        off = self.form_on(page) | {"title": "Our shop", "slug": "shop"}
        assert browser.post(path, data=off).status_code == 303
        assert client.get("/status/shop").status_code == 404

    @on_sqlite
    def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_is_kept(
        self,
        client: FlaskClient,
        alice: Person,
        project: dict[str, Any],
        store: dict[str, Any],
    ) -> None:
        browser = signed_in(client, alice)
        path = f"/projects/{project['id']}/status-page"
        form = self.form_on(browser.get(path).text) | {"enabled": "yes", "title": "My <title>"}
        nothing = browser.post(path, data=form | {"slug": "Not Good"})
        assert nothing.status_code == 400
        assert 'value="Not Good"' in nothing.text
        assert 'value="My &lt;title&gt;"' in nothing.text
        assert "Choose at least one service." in nothing.text
        number = store["serviceId"]
        nameless = browser.post(
            path, data=form | {"slug": "shop", "shown": [number], f"name-{number}": "\0" * 256}
        )
        assert nameless.status_code == 400
        assert f'id="wrong-{number}"' in nameless.text
        foreign = browser.post(path, data=form | {"slug": "shop", "shown": "1", "name-1": "x"})
        assert foreign.status_code == 400

    def test_a_taken_address_is_said_at_its_field(
        self,
        client: FlaskClient,
        alice: Person,
        bob: Person,
        project: dict[str, Any],
        store: dict[str, Any],
    ) -> None:
        other = data_of(bob.post("/api/projects", json={"name": "Other"}), 201)
        show(bob, other, {bob.new_service(project="Other")["serviceId"]: "x"})
        browser = signed_in(client, alice)
        path = f"/projects/{project['id']}/status-page"
        number = store["serviceId"]
        form = self.form_on(browser.get(path).text) | {"enabled": "yes", "title": "x"}
        form |= {"slug": "shop", "shown": [number], f"name-{number}": "Orders"}
        answer = browser.post(path, data=form)
        assert answer.status_code == 409
        assert 'id="slug-wrong"' in answer.text
        assert 'value="Orders"' in answer.text

    @on_sqlite
    def test_it_is_for_owners(
        self, client: FlaskClient, alice: Person, bob: Person, project: dict[str, Any]
    ) -> None:
        members = f"/api/projects/{project['id']}/members/{bob.user_id}"
        data_of(alice.put(members, json={"role": "editor"}))
        browser = signed_in(client, bob)
        assert browser.get(f"/projects/{project['id']}/status-page").status_code == 403
