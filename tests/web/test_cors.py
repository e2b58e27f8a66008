"""Pages of other origins: those that are trusted may call both APIs and read, no others."""

import dataclasses
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms_services.legacy.actions import ACTIONS
from tests.conftest import MakeApp, NewPerson
from tests.people import PASSWORD, data_of, error_of

FRIEND, NEIGHBOUR = "https://cms.example.com", "http://[::1]:3000"
TRUSTED = f"{FRIEND}, {NEIGHBOUR}"
STRANGERS = (
    "https://evil.example",
    "null",
    "NULL",
    "",
    "*",
    "http://cms.example.com",
    "https://cms.example.com:444",
    "https://cms.example.com.evil.example",
    "https://evil.example/https://cms.example.com",
    "https://cmsxexample.com",
    "https://cms.example.com\tx",
    "https://cms.example.com/",
    f"{FRIEND}, https://evil.example",
    "http://:3000",
    "http://1:3000",
)
SHARED = (
    ("GET", "/api/service-types"),
    ("GET", "/services.php?getServiceTypes=1"),
    ("GET", "/api/services"),
    ("GET", "/api/nothing"),
    ("DELETE", "/api/services"),
    ("POST", "/services.php"),
    ("PUT", "/services.php"),
)
SENT = (
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Idempotency-Key",
    "Range",
    "X-Request-ID",
    "X-Confirm-Name",
)
READ = {
    "ETag",
    "Location",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-Request-ID",
    "Idempotent-Replayed",
    "Deprecation",
    "Sunset",
    "Content-Disposition",
    "Accept-Ranges",
    "Content-Digest",
    "Content-Range",
    "Repr-Digest",
}


def words(value: str) -> set[str]:
    return {word.strip() for word in value.split(",")}


def cors_headers(answer: TestResponse) -> dict[str, str]:
    return {n: v for n, v in answer.headers if n.lower().startswith("access-control-")}


def require_shared(answer: TestResponse, origin: str = FRIEND) -> None:
    """Fail unless a page of this origin, and of it alone, may read the answer."""
    assert answer.headers.getlist("Access-Control-Allow-Origin") == [origin]
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert words(answer.headers["Access-Control-Expose-Headers"]) == READ
    assert "Origin" in words(answer.headers["Vary"])


def preflight(client: FlaskClient, path: str, origin: str = FRIEND, **headers: str) -> TestResponse:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"} | headers
    return client.options(path, headers=asked)


@pytest.fixture
def app(make_bare_app: MakeApp) -> Flask:
    return make_bare_app(TRUSTED_ORIGINS=TRUSTED)


class TestTrustedOrigins:
    @pytest.mark.parametrize(("method", "path"), SHARED)
    def test_read_every_answer_of_both_apis_refusals_too(
        self, client: FlaskClient, method: str, path: str
    ) -> None:
        for origin in (FRIEND, NEIGHBOUR):
            require_shared(client.open(path, method=method, headers={"Origin": origin}), origin)

    def test_read_what_a_crash_says(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> None:
            raise RuntimeError("no")

        failing = dataclasses.replace(ACTIONS["getServiceTypes"], handler=fail)
        monkeypatch.setitem(ACTIONS, "getServiceTypes", failing)
        answer = client.get("/services.php?getServiceTypes=1", headers={"Origin": FRIEND})
        error_of(answer, 500, "INTERNAL_ERROR")
        require_shared(answer)

    def test_read_that_they_ask_too_often(self, make_bare_app: MakeApp) -> None:
        app = make_bare_app(
            TRUSTED_ORIGINS=TRUSTED, RATE_LIMITS="on", RATE_LIMIT_ANONYMOUS="1 per hour"
        )
        client = app.test_client()
        for _ in range(3):
            leave = preflight(client, "/api/services")
            assert leave.status_code == 204
            assert "RateLimit-Limit" not in leave.headers
        headers = {"Origin": FRIEND}
        data_of(client.get("/api/service-types", headers=headers))
        refused = client.get("/api/service-types", headers=headers)
        error_of(refused, 429, "RATE_LIMIT_EXCEEDED")
        require_shared(refused)
        assert refused.headers["Retry-After"]
        assert preflight(client, "/api/services").status_code == 204

    @pytest.mark.parametrize("setting", ["LEGACY_ENVELOPE=bare", "LEGACY_STATUS=always-200"])
    def test_may_ask_services_php_whose_answers_look_old(
        self, make_bare_app: MakeApp, setting: str
    ) -> None:
        name, value = setting.split("=")
        app = make_bare_app(TRUSTED_ORIGINS=TRUSTED, **{name: value})
        answer = preflight(app.test_client(), "/services.php")
        assert (answer.status_code, answer.data) == (204, b"")

    def test_sign_in_and_change_by_token_and_by_cookie(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(TRUSTED_ORIGINS=TRUSTED)
        email = new_person("Alice", of=app).email
        browser = app.test_client()
        page = {"Origin": FRIEND, "Sec-Fetch-Site": "same-site"}
        signed_in = browser.post(
            "/api/auth/login", json={"email": email, "password": PASSWORD}, headers=page
        )
        require_shared(signed_in)
        bearer = {"Authorization": f"Bearer {data_of(signed_in)['accessToken']}"}
        for name, headers in (("By cookie", page), ("By token", page | bearer)):
            made = browser.post(
                "/api/services", json={"name": name, "type": "api"}, headers=headers
            )
            assert made.status_code == 201
            require_shared(made)
            path = made.headers["Location"]
            known = {"If-None-Match": made.headers["ETag"]}
            require_shared(browser.get(path, headers=headers | known))


class TestPreflight:
    @pytest.mark.parametrize("path", ["/api/services", "/api/nothing", "/services.php"])
    def test_a_trusted_page_is_given_leave(self, client: FlaskClient, path: str) -> None:
        asked = ", ".join([*SENT, "X-Other"]).lower()
        answer = preflight(client, path, **{"Access-Control-Request-Headers": asked})
        assert (answer.status_code, answer.data) == (204, b"")
        assert "Content-Type" not in answer.headers
        require_shared(answer)
        assert words(answer.headers["Access-Control-Allow-Headers"]) == {h.lower() for h in SENT}
        methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
        assert words(answer.headers["Access-Control-Allow-Methods"]) == methods
        assert int(answer.headers["Access-Control-Max-Age"]) == 600
        assert answer.headers["X-Request-ID"]

    def test_it_needs_neither_the_database_nor_a_sign_in(self, make_bare_app: MakeApp) -> None:
        app = make_bare_app(
            TRUSTED_ORIGINS=TRUSTED,
            RATE_LIMITS="on",
            DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
            REDIS_URL="redis://127.0.0.1:1",
        )
        client = app.test_client()
        client.set_cookie("cms_session", "junk")
        assert preflight(client, "/api/services", Authorization="Bearer x").status_code == 204

    @pytest.mark.parametrize("origin", STRANGERS)
    def test_others_are_told_the_methods_there_are(self, client: FlaskClient, origin: str) -> None:
        answer = preflight(client, "/api/services", origin)
        error_of(answer, 405, "METHOD_NOT_ALLOWED")
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}
        assert cors_headers(answer) == {}

    def test_options_that_ask_for_no_leave_are_told_them_too(self, client: FlaskClient) -> None:
        answer = client.options("/api/services", headers={"Origin": FRIEND})
        error_of(answer, 405, "METHOD_NOT_ALLOWED")
        nobody = client.options("/services.php", headers={"Access-Control-Request-Method": "PUT"})
        error_of(nobody, 405, "METHOD_NOT_ALLOWED")
        assert cors_headers(nobody) == {}


class TestOtherOrigins:
    @pytest.mark.parametrize("origin", STRANGERS)
    def test_no_answer_says_a_word_to_them(self, client: FlaskClient, origin: str) -> None:
        for method, path in SHARED:
            answer = client.open(path, method=method, headers={"Origin": origin})
            assert cors_headers(answer) == {}, path

    @pytest.mark.parametrize("origin", [FRIEND, *STRANGERS])
    def test_without_trusted_origins_there_is_no_cors(
        self, make_bare_app: MakeApp, origin: str
    ) -> None:
        client = make_bare_app().test_client()
        for method, path in SHARED:
            answer = client.open(path, method=method, headers={"Origin": origin})
            assert cors_headers(answer) == {}
            assert "Origin" not in answer.headers.get("Vary", "")
        assert preflight(client, "/api/services", origin).status_code == 405


class TestWhatIsNotShared:
    @pytest.mark.parametrize(
        "path", ["/", "/login", "/healthz", "/metrics", "/static/style.css", "/services.phpx"]
    )
    def test_pages_and_what_operators_ask(self, client: FlaskClient, path: str) -> None:
        for method in ("GET", "OPTIONS"):
            answer = client.open(
                path,
                method=method,
                headers={"Origin": FRIEND, "Access-Control-Request-Method": "GET"},
            )
            assert cors_headers(answer) == {}
            answer.close()

    def test_who_sends_no_origin_is_told_nothing_but_caches_are(self, client: FlaskClient) -> None:
        answer = client.get("/api/service-types")
        assert cors_headers(answer) == {}
        assert "Origin" in words(answer.headers["Vary"])
