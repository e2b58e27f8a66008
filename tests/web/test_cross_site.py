"""Changes that another site's page tries to make with our visitor's cookie."""

import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.people import PASSWORD, Person, data_of, error_of

OURS = "http://localhost"
FRIEND = "https://cms.example.com"

# Each door for changes. Nobody is signed in, so what is let through answers 401, or 400 at the
# door that signs in.
DOORS = {
    "rest": ("/api/services", {"json": {"name": "x", "type": "api"}}, 401),
    "services.php": ("/services.php", {"json": {"createService": 1}}, 401),
    "services.php form": ("/services.php", {"data": {"createService": "1"}}, 401),
    "services.php text": (
        "/services.php",
        {"data": '{"createService": 1}', "content_type": "text/plain"},
        401,
    ),
    "sign-in": ("/api/auth/login", {"json": {}}, 400),
    "sign-out": ("/api/auth/logout", {}, 401),
}

FOREIGN = {
    "another site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "a sibling host": {"Sec-Fetch-Site": "same-site", "Origin": "http://other.localhost"},
    "another site, by Fetch Metadata alone": {"Sec-Fetch-Site": "cross-site"},
    "Fetch Metadata against a feigned origin": {"Sec-Fetch-Site": "cross-site", "Origin": OURS},
    "an unknown word of Fetch Metadata": {"Sec-Fetch-Site": "moon"},
    "an old browser's origin": {"Origin": "https://evil.example"},
    "a hidden origin": {"Origin": "null"},
    "a hidden origin with a feigned referrer": {"Origin": "null", "Referer": f"{OURS}/"},
    "another scheme": {"Origin": "https://localhost"},
    "another port": {"Origin": "http://localhost:8080"},
    "a longer host": {"Origin": "http://localhost.evil.example"},
    "a host in the user part": {"Origin": "http://localhost@evil.example"},
    "a broken origin": {"Origin": "http://["},
    "a referrer alone": {"Referer": "https://evil.example/page"},
    "a referrer that quotes us": {"Referer": "https://evil.example/http://localhost/"},
    "a broken referrer": {"Referer": "http://[/page"},
}

OWN = {
    "no browser": {},
    "our page": {"Sec-Fetch-Site": "same-origin", "Origin": OURS},
    "the address bar": {"Sec-Fetch-Site": "none"},
    "an old browser's origin": {"Origin": OURS},
    "an old browser's referrer": {"Referer": f"{OURS}/services/1?x=http://evil.example"},
}


def change(client: FlaskClient, door: str, headers: dict[str, str]) -> TestResponse:
    path, sent, _ = DOORS[door]
    return client.post(path, headers=headers, **sent)


@pytest.fixture
def client(make_bare_app: MakeApp) -> FlaskClient:
    return make_bare_app(TRUSTED_ORIGINS=f"{FRIEND}, http://localhost:3000").test_client()


class TestOtherSites:
    @pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
    def test_a_change_of_theirs_is_refused_at_every_door(
        self, client: FlaskClient, headers: dict[str, str]
    ) -> None:
        for door in DOORS:
            error_of(change(client, door, headers), 403, "FORBIDDEN")

    def test_no_route_takes_a_change_of_theirs(self, client: FlaskClient) -> None:
        asked = 0
        for rule in client.application.url_map.iter_rules():
            path = re.sub(r"<[^>]+>", "1", re.sub(r"<any\((\w+)[^>]*>", r"\1", rule.rule))
            for method in (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}:
                answer = client.open(path, method=method, headers=FOREIGN["another site"])
                assert answer.status_code == 403, (method, path)
                asked += 1
        assert asked > 40

    def test_a_change_by_get_is_none(self, client: FlaskClient) -> None:
        """A link or a picture of theirs would send the cookie along."""
        for action in ("createService", "updateService", "deleteService", "suspendService"):
            for headers in (FOREIGN["another site"], OWN["our page"]):
                answer = client.get(f"/services.php?{action}=1&serviceId=1", headers=headers)
                error_of(answer, 405, "METHOD_NOT_ALLOWED")
                assert answer.headers["Allow"] == "POST"
        for path in ("/logout", "/preferences"):
            assert client.get(path).status_code == 405

    def test_no_other_method_gets_round_it(self, client: FlaskClient) -> None:
        foreign = FOREIGN["another site"]
        for method in ("PUT", "PATCH", "DELETE"):
            path = "/api/projects/1/members/1" if method == "PUT" else "/api/services/1"
            error_of(client.open(path, method=method, headers=foreign), 403, "FORBIDDEN")

    def test_the_pages_answer_with_a_page(self, client: FlaskClient) -> None:
        for path in ("/login", "/logout", "/services/1/suspend"):
            answer = client.post(path, data={"email": "x"}, headers=FOREIGN["another site"])
            assert (answer.status_code, answer.mimetype) == (403, "text/html")
            assert "Set-Cookie" not in answer.headers

    def test_reading_is_left_to_the_browser(self, client: FlaskClient) -> None:
        foreign = FOREIGN["another site"]
        data_of(client.get("/api/service-types", headers=foreign))
        data_of(client.get("/services.php?getServiceTypes=1", headers=foreign))
        assert client.get("/login", headers=foreign).status_code == 200

    @pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
    def test_a_health_check_by_get_is_not_reading(
        self, client: FlaskClient, headers: dict[str, str]
    ) -> None:
        answer = client.get("/services.php?healthCheck=1&serviceId=1", headers=headers)
        error_of(answer, 403, "FORBIDDEN")

    def test_no_answer_invites_another_origin_to_read_it(self, client: FlaskClient) -> None:
        preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        for method, path in (("OPTIONS", "/services.php"), ("GET", "/api/service-types")):
            answer = client.open(path, method=method, headers=preflight)
            assert not [n for n, _ in answer.headers if n.startswith("Access-Control")]


class TestOurOwn:
    @pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
    def test_a_change_of_our_own_is_let_through_at_every_door(
        self, client: FlaskClient, headers: dict[str, str]
    ) -> None:
        for door, (_, _, status) in DOORS.items():
            assert change(client, door, headers).status_code == status, door

    @pytest.mark.parametrize(
        "base",
        [
            "https://cms.example.org",
            "http://cms.example.org:8000",
            "http://[::1]:8000",
            "http://xn--mller-kva.example",
        ],
    )
    def test_our_origin_is_the_one_that_was_asked(self, client: FlaskClient, base: str) -> None:
        answer = client.post("/api/auth/logout", headers={"Origin": base}, base_url=base)
        error_of(answer, 401, "UNAUTHENTICATED")
        answer = client.post("/api/auth/logout", headers={"Origin": OURS}, base_url=base)
        error_of(answer, 403, "FORBIDDEN")


class TestTrustedOrigins:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": FRIEND},
            {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"},
            {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
            {"Referer": f"{FRIEND}/admin.php"},
        ],
    )
    def test_a_listed_site_may_change(self, client: FlaskClient, headers: dict[str, str]) -> None:
        for door, (_, _, status) in DOORS.items():
            assert change(client, door, headers).status_code == status, door

    @pytest.mark.parametrize(
        "origin",
        [
            "http://cms.example.com",
            f"{FRIEND}.evil.example",
            f"{FRIEND}:444",
            "http://localhost:30",
        ],
    )
    def test_a_site_that_resembles_one_may_not(self, client: FlaskClient, origin: str) -> None:
        error_of(change(client, "rest", {"Origin": origin}), 403, "FORBIDDEN")


class TestSignedIn:
    def test_the_cookie_makes_no_change_for_another_site_and_the_token_does(
        self, alice: Person
    ) -> None:
        service = alice.new_service()
        path, foreign = f"/api/services/{service['id']}", FOREIGN["another site"]
        browser = alice.client
        given = {"email": alice.email, "password": PASSWORD}
        data_of(browser.post("/api/auth/login", json=given))
        error_of(browser.delete(path, headers=foreign), 403, "FORBIDDEN")
        forged = browser.post(
            "/services.php",
            data={"deleteService": "1", "serviceId": service["id"]},
            headers=foreign,
        )
        error_of(forged, 403, "FORBIDDEN")
        assert data_of(browser.get(path)) == service
        # A header that a form of another site can't send shows that no browser did by itself.
        assert data_of(alice.patch(path, json={"name": "New"}, headers=foreign))["name"] == "New"
        own = browser.patch(path, json={"name": "Newer"}, headers=OWN["our page"])
        assert data_of(own)["name"] == "Newer"

    def test_a_header_that_is_no_token_does_not_use_the_cookie(self, alice: Person) -> None:
        browser = alice.client
        given = {"email": alice.email, "password": PASSWORD}
        data_of(browser.post("/api/auth/login", json=given))
        headers = FOREIGN["another site"] | {"Authorization": "Basic Og=="}
        answer = browser.post("/api/services", json={"name": "x", "type": "api"}, headers=headers)
        error_of(answer, 401, "UNAUTHENTICATED")

    def test_nobody_is_signed_in_to_another_account_by_another_site(self, alice: Person) -> None:
        given = {"email": alice.email, "password": PASSWORD}
        for answer in (
            alice.client.post("/api/auth/login", json=given, headers=FOREIGN["another site"]),
            alice.client.post("/login", data=given, headers=FOREIGN["another site"]),
        ):
            assert answer.status_code == 403
            assert "Set-Cookie" not in answer.headers
