"""What operators see: health, readiness, metrics and log lines."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from cms_services.vocabulary import Role
from tests.conftest import MakeApp, NewPerson
from tests.people import PASSWORD, Person, data_of, error_of

NO_REDIS = "redis://127.0.0.1:1"
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"
SECRET = "hunter2-never-logged"

LogLines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log_lines(capsys: pytest.CaptureFixture[str]) -> Iterator[LogLines]:
    """The lines on stdout since the last call; ask for it before the application is made."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def read() -> list[dict[str, Any]]:
        # Every single line must be JSON.
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)


class TestHealth:
    def test_the_process_is_up_whatever_else_is_not(self, make_bare_app: MakeApp) -> None:
        client = make_bare_app(DATABASE_URL=NO_DATABASE, REDIS_URL=NO_REDIS).test_client()
        assert data_of(client.get("/healthz")) == {"status": "up"}
        assert client.head("/healthz").status_code == 200


class TestReadiness:
    def test_it_is_ready_with_each_database(self, client: FlaskClient) -> None:
        assert data_of(client.get("/readyz")) == {"database": "ready", "redis": "not used"}

    def test_redis_counts_where_it_is_set(self, make_app: MakeApp, redis_url: str) -> None:
        client = make_app(REDIS_URL=redis_url).test_client()
        assert data_of(client.get("/readyz")) == {"database": "ready", "redis": "ready"}

    def test_without_its_redis_it_is_not_ready(self, make_app: MakeApp) -> None:
        answer = make_app(REDIS_URL=NO_REDIS).test_client().get("/readyz")
        error = error_of(answer, 503, "NOT_READY")
        assert error["details"] == {"database": "ready", "redis": "does not answer"}
        assert int(answer.headers["Retry-After"]) > 0

    def test_without_the_schema_it_is_not_ready(self, make_bare_app: MakeApp) -> None:
        answer = make_bare_app().test_client().get("/readyz")
        details = error_of(answer, 503, "NOT_READY")["details"]
        assert "cms-services db upgrade" in details["database"]

    def test_without_the_database_it_is_not_ready_and_tells_no_address(
        self, make_bare_app: MakeApp
    ) -> None:
        answer = make_bare_app(DATABASE_URL=NO_DATABASE).test_client().get("/readyz")
        details = error_of(answer, 503, "NOT_READY")["details"]
        assert details["database"] == "does not answer"
        assert "nobody" not in answer.text


class TestMetrics:
    def samples(self, client: FlaskClient) -> dict[tuple[str, ...], float]:
        """Requests answered so far, by method, operation and status."""
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert answer.content_type.startswith("text/plain; version=")
        return {
            tuple(sample.labels[name] for name in ("method", "operation", "status")): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name == "cms_http_requests_total"
        }

    def test_requests_are_counted_by_operation_and_never_by_what_callers_make_up(
        self, make_bare_app: MakeApp
    ) -> None:
        client = make_bare_app().test_client()
        before = self.samples(client)
        for path in ("/api/services/made-up-1", "/api/services/made-up-2", "/made-up-3"):
            client.get(path)
        client.get("/services.php?getServices=made-up-4")
        client.get("/services.php?madeUp5=1")
        client.open("/api/services/made-up-6", method="MADEUP7")
        after = self.samples(client)

        def counted(*labels: str) -> float:
            return after.get(labels, 0) - before.get(labels, 0)

        assert counted("GET", "/api/services/<service_id>", "401") == 2
        assert counted("GET", "/services.php getServices", "401") == 1
        assert counted("GET", "/services.php", "400") == 1
        assert counted("ANY", "unmatched", "404") == 1
        assert counted("ANY", "unmatched", "405") == 1
        assert not re.search("made.?up", client.get("/metrics").text, re.IGNORECASE)

    def test_whoever_knows_the_token_reads_them_and_nobody_else(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        token = "m3trics-are-not-for-all"
        app = make_app(METRICS_TOKEN=token, RATE_LIMITS="on")
        admin = new_person("Ada", Role.ADMIN, app)
        client = app.test_client()
        refused = (
            {},
            {"Authorization": token},
            {"Authorization": "Bearer "},
            {"Authorization": f"Basic {token}"},
            {"Authorization": f"Bearer {token}x"},
            {"Authorization": f"Bearer {token[:-1]}"},
            {"Authorization": f"Bearer {token.upper()}"},
            {"Authorization": "Bearer t\u00f6ken-of-other-letters"},
            {"Authorization": f"Bearer {admin.token}"},
            {"Cookie": f"cms_session={token}"},
        )
        for headers in refused:
            answer = client.get("/metrics", headers=headers)
            error_of(answer, 401, "UNAUTHENTICATED")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "cms_http_requests_total" not in answer.text
        error_of(client.get(f"/metrics?token={token}"), 401, "UNAUTHENTICATED")
        for scheme in ("Bearer", "bearer"):
            read = client.get("/metrics", headers={"Authorization": f"{scheme} {token}"})
            assert read.status_code == 200
            assert "cms_http_requests_total" in read.text
        # It opens nothing else.
        headers = {"Authorization": f"Bearer {token}"}
        error_of(client.get("/api/auth/me", headers=headers), 401, "UNAUTHENTICATED")
        assert client.get("/readyz").status_code == 200

    def test_durations_are_told_in_seconds(self, make_bare_app: MakeApp) -> None:
        client = make_bare_app().test_client()
        client.get("/healthz")
        text = client.get("/metrics").text
        assert "# TYPE cms_http_request_duration_seconds histogram" in text
        assert 'operation="/healthz"' in text


class TestLogLines:
    def test_a_request_leaves_one_line_that_says_who_did_what_and_how_it_went(
        self, log_lines: LogLines, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        alice = new_person("Alice", of=make_app(LOG_LEVEL="info"))
        log_lines()
        alice.get("/api/services/none", headers={"X-Request-ID": "deploy-7"})
        (line,) = log_lines()
        assert line["message"] == "request" and line["level"] == "info"
        assert (line["request_id"], line["user"]) == ("deploy-7", alice.user_id)
        assert (line["method"], line["operation"]) == ("GET", "/api/services/<service_id>")
        assert (line["status"], line["address"]) == (404, "127.0.0.1")
        assert 0 < line["duration_ms"] < 60_000
        assert line["time"].endswith("Z")

    def test_the_request_id_of_the_answer_is_the_one_in_the_line(
        self, log_lines: LogLines, make_bare_app: MakeApp
    ) -> None:
        client = make_bare_app(LOG_LEVEL="info").test_client()
        for path in ("/healthz", "/api/nothing", "/login", "/services.php?getServiceTypes=1"):
            log_lines()
            answer = client.get(path)
            (line,) = log_lines()
            assert line["request_id"] == answer.headers["X-Request-ID"]
            assert (line["status"], line["user"]) == (answer.status_code, None)

    def test_an_action_of_services_php_is_named(
        self, log_lines: LogLines, make_bare_app: MakeApp
    ) -> None:
        client = make_bare_app(LOG_LEVEL="info").test_client()
        log_lines()
        client.get("/services.php?getServiceTypes=1")
        client.post("/services.php", json={"createService": 1})
        assert [line["operation"] for line in log_lines()] == [
            "/services.php getServiceTypes",
            "/services.php createService",
        ]

    def test_a_crash_is_told_with_its_cause_and_the_request_id(
        self,
        log_lines: LogLines,
        make_app: MakeApp,
        new_person: NewPerson,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("the cause")

        alice = new_person("Alice", of=make_app(LOG_LEVEL="error"))
        monkeypatch.setattr("cms_services.projects.sharing.list_projects", fail)
        log_lines()
        answer = alice.get("/api/projects")
        (line,) = log_lines()
        assert (line["level"], line["request_id"]) == ("error", answer.headers["X-Request-ID"])
        assert "RuntimeError: the cause" in line["exception"]

    def test_lines_of_libraries_are_json_too(
        self, log_lines: LogLines, make_bare_app: MakeApp
    ) -> None:
        make_bare_app(LOG_LEVEL="info")
        log_lines()
        logging.getLogger("some.library").warning("%s bottles\nof %s", 99, "beer")
        (line,) = log_lines()
        assert (line["message"], line["level"]) == ("99 bottles\nof beer", "warning")
        assert line["logger"] == "some.library"

    def test_the_level_is_the_operators_choice(
        self, log_lines: LogLines, make_bare_app: MakeApp
    ) -> None:
        client = make_bare_app(LOG_LEVEL="warning").test_client()
        log_lines()
        client.get("/healthz")
        assert log_lines() == []

    def test_no_line_carries_a_secret(
        self,
        log_lines: LogLines,
        capsys: pytest.CaptureFixture[str],
        make_app: MakeApp,
        new_person: NewPerson,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        app = make_app(LOG_LEVEL="debug", RATE_LIMITS="on", REGISTRATION="open")
        alice = new_person("Alice", of=app)
        capsys.readouterr()
        told = _do_what_carries_secrets(app, alice, monkeypatch)
        out, err = capsys.readouterr()
        lines = [json.loads(line) for line in out.splitlines()]
        assert len([line for line in lines if line["message"] == "request"]) >= 15
        assert {line["status"] for line in lines if "status" in line} >= {200, 201, 400, 401, 500}
        for secret in told:
            assert secret not in out + err


def _do_what_carries_secrets(
    app: Flask, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Send secrets in every place where one can stand; all that must not be logged."""
    browser = app.test_client()
    given = {"email": alice.email, "password": PASSWORD}
    # By another browser, since signing in anew ends the session that one had.
    tokens = data_of(app.test_client().post("/api/auth/login", json=given))
    assert browser.post("/login", data=given).status_code == 303
    cookie = browser.get_cookie("cms_session")
    assert cookie is not None
    wrong = {"email": alice.email, "password": SECRET}
    browser.post("/api/auth/login", json=wrong)
    browser.post("/login", data=wrong)
    browser.post("/api/auth/register", json={"email": "x@example.com", "password": SECRET})
    browser.post("/api/auth/login", data='{"password": "' + SECRET, content_type="application/json")
    browser.get(f"/?q={SECRET}")
    refreshed = data_of(
        browser.post("/api/auth/refresh", json={"refreshToken": tokens["refreshToken"]})
    )
    browser.post("/api/auth/refresh", json={"refreshToken": SECRET})
    personal = data_of(
        alice.post("/api/auth/tokens", json={"name": "CI", "scopes": ["account:read"]}), 201
    )
    for token in (personal["token"], f"cms_{SECRET}", SECRET):
        browser.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
    variable = {"value": SECRET, "secret": True}
    service = alice.new_service(configuration={"environment": {"KEY": variable}})
    path = f"/api/services/{service['id']}"
    data_of(alice.post(f"{path}/config", json={"environment": {"OTHER": variable}}))
    alice.post(f"{path}/config", json={"environment": {"BROKEN": {"secret": SECRET}}})
    alice.act("updateConfig", serviceId=service["id"], configuration={"token": SECRET})
    alice.get(f"/services.php?getServices=1&password={SECRET}")
    for address in ("/api/services", f"/api/{SECRET}", f"/{SECRET}", f"/services/{SECRET}"):
        alice.get(f"{address}?token={SECRET}")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patched:
        patched.setattr("cms_services.projects.sharing.create_project", fail)
        given = {"name": "x", "description": SECRET}
        error_of(alice.post(f"/api/projects?x={SECRET}", json=given), 500, "INTERNAL_ERROR")
    data_of(alice.post("/api/auth/logout", json={"refreshToken": refreshed["refreshToken"]}))
    return [
        SECRET,
        PASSWORD,
        alice.token,
        personal["token"],
        cookie.value,
        *(pair[kind] for pair in (tokens, refreshed) for kind in ("accessToken", "refreshToken")),
    ]
