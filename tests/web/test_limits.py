"""Rate limits: who is counted, how much is allowed, and what an answer says of it."""

import os
import socket
import time
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis, RedisError
from werkzeug.test import TestResponse

from tests.conftest import MakeApp, NewPerson
from tests.databases import need_server
from tests.people import PASSWORD, Person, data_of, error_of

REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379")
# Answered without the database, to anybody.
CHEAP = "/api/service-types"
ANONYMOUS, SIGNED_IN = 120, 600


@pytest.fixture(autouse=True)
def _time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no window of a limit ends within a test."""
    moment = time.time()
    monkeypatch.setattr(time, "time", lambda: moment)


@pytest.fixture
def redis_url() -> str:
    try:
        with Redis.from_url(REDIS_URL, socket_connect_timeout=3) as redis:
            redis.ping()
    except RedisError:
        need_server("Redis does not answer")
    return REDIS_URL


@pytest.fixture
def client(make_bare_app: MakeApp) -> FlaskClient:
    """Somebody who is not signed in, where limits are on."""
    return make_bare_app(RATE_LIMITS="on").test_client()


def call(client: FlaskClient, address: str, path: str = CHEAP, **kwargs: Any) -> TestResponse:
    """Call from an address."""
    return client.get(path, environ_overrides={"REMOTE_ADDR": address}, **kwargs)


def exhaust(client: FlaskClient, address: str = "127.0.0.1") -> TestResponse:
    """Call until the limit of anonymous callers is used up; the first refused answer."""
    for _ in range(ANONYMOUS):
        assert call(client, address).status_code == 200
    return call(client, address)


def remaining(answer: TestResponse) -> int:
    return int(answer.headers["RateLimit-Remaining"])


def unique_address() -> str:
    """An address that no test has called from, since Redis remembers."""
    return f"test-{uuid.uuid4()}"


class TestCallers:
    def test_an_anonymous_caller_is_refused_in_the_end(self, client: FlaskClient) -> None:
        refused = exhaust(client)
        error = error_of(refused, 429, "RATE_LIMIT_EXCEEDED")
        assert "Retry-After" in error["message"]
        assert 1 <= int(refused.headers["Retry-After"]) <= 61
        assert refused.headers["RateLimit-Limit"] == str(ANONYMOUS)
        assert refused.headers["RateLimit-Remaining"] == "0"
        assert int(refused.headers["RateLimit-Reset"]) <= 61

    def test_every_answer_tells_what_is_left(self, client: FlaskClient) -> None:
        first, second = call(client, "127.0.0.1"), call(client, "127.0.0.1")
        assert (remaining(first), remaining(second)) == (ANONYMOUS - 1, ANONYMOUS - 2)
        assert "Retry-After" not in first.headers

    def test_callers_are_told_apart_by_address(self, client: FlaskClient) -> None:
        error_of(exhaust(client, "192.0.2.1"), 429, "RATE_LIMIT_EXCEEDED")
        data_of(call(client, "192.0.2.2"))

    def test_an_address_that_is_only_claimed_counts_for_nothing(self, client: FlaskClient) -> None:
        counts = []
        for number in range(3):
            claimed = {"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": "198.51.100.9"}
            counts.append(remaining(call(client, "192.0.2.1", headers=claimed)))
        assert counts == [ANONYMOUS - 1, ANONYMOUS - 2, ANONYMOUS - 3]

    def test_behind_a_trusted_proxy_the_forwarded_address_counts(
        self, make_bare_app: MakeApp
    ) -> None:
        client = make_bare_app(RATE_LIMITS="on", TRUSTED_PROXIES="1").test_client()
        for number in range(3):
            forwarded = {"X-Forwarded-For": f"192.0.2.66, 198.51.100.{number}"}
            answer = call(client, "127.0.0.1", headers=forwarded)
            assert remaining(answer) == ANONYMOUS - 1

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/api/nothing", 404),
            ("GET", "/nothing", 404),
            ("DELETE", "/services.php", 405),
            ("GET", "/services.php", 400),
            ("GET", "/api/auth/me", 401),
            ("GET", "/metrics", 200),
            ("GET", "/login", 200),
        ],
    )
    def test_whatever_is_asked_for_counts(
        self, client: FlaskClient, method: str, path: str, status: int
    ) -> None:
        answer = client.open(path, method=method)
        assert answer.status_code == status
        assert remaining(answer) == ANONYMOUS - 1
        assert remaining(call(client, "127.0.0.1")) == ANONYMOUS - 2

    def test_a_token_that_is_not_valid_is_counted_by_its_address(self, client: FlaskClient) -> None:
        for number in range(1, 4):
            headers = {"Authorization": f"Bearer junk{number}"}
            answer = client.get("/api/auth/me", headers=headers)
            error_of(answer, 401, "UNAUTHENTICATED")
            assert remaining(answer) == ANONYMOUS - number

    def test_somebody_signed_in_has_a_larger_limit_of_their_own(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(RATE_LIMITS="on")
        alice, bob = new_person("Alice", of=app), new_person("Bob", of=app)
        error_of(exhaust(app.test_client()), 429, "RATE_LIMIT_EXCEEDED")
        answer = alice.get(CHEAP)
        assert answer.headers["RateLimit-Limit"] == str(SIGNED_IN)
        assert remaining(answer) == SIGNED_IN - 1
        # Wherever she calls from, and by whatever door.
        elsewhere = alice.get(
            "/services.php?getServiceTypes=1", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}
        )
        assert remaining(elsewhere) == SIGNED_IN - 2
        given = {"email": alice.email, "password": PASSWORD}
        browser = app.test_client()
        away = {"REMOTE_ADDR": "192.0.2.2"}
        data_of(browser.post("/api/auth/login", json=given, environ_overrides=away))
        assert remaining(browser.get(CHEAP)) == SIGNED_IN - 3
        assert remaining(bob.get(CHEAP)) == SIGNED_IN - 1

    def test_the_pages_say_it_with_a_page(self, client: FlaskClient) -> None:
        exhaust(client)
        answer = client.get("/login")
        assert (answer.status_code, answer.mimetype) == (429, "text/html")
        assert "RATE_LIMIT_EXCEEDED" in answer.text
        assert answer.headers["Retry-After"]

    def test_services_php_says_it_in_its_own_status(self, make_bare_app: MakeApp) -> None:
        app = make_bare_app(RATE_LIMITS="on", LEGACY_STATUS="always-200")
        client = app.test_client()
        exhaust(client)
        answer = client.get("/services.php?getServiceTypes=1")
        error_of(answer, 200, "RATE_LIMIT_EXCEEDED")
        assert answer.headers["Retry-After"]

    def test_off_is_off(self, make_bare_app: MakeApp) -> None:
        client = make_bare_app(RATE_LIMITS="off").test_client()
        for _ in range(ANONYMOUS + 10):
            answer = client.get(CHEAP)
            assert answer.status_code == 200
        assert not [name for name, _ in answer.headers if name.startswith("RateLimit")]


class TestNeverLimited:
    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/static/style.css"])
    def test_what_machines_ask_all_the_time_counts_for_nothing(
        self, client: FlaskClient, path: str
    ) -> None:
        exhaust(client)
        for _ in range(3):
            answer = client.get(path)
            assert answer.status_code != 429
            assert "RateLimit-Limit" not in answer.headers
            answer.close()

    def test_being_up_needs_no_database_even_for_somebody_with_a_token(
        self, make_bare_app: MakeApp, alice: Person
    ) -> None:
        away = make_bare_app(
            RATE_LIMITS="on", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none"
        ).test_client()
        headers = {"Authorization": f"Bearer {alice.token}"}
        assert data_of(away.get("/healthz", headers=headers)) == {"status": "up"}


class TestSigningIn:
    """Sign-in is counted before the body is looked at, so a body without a password will do."""

    def attempt(self, client: FlaskClient, email: str, address: str = "127.0.0.1") -> TestResponse:
        return client.post(
            "/api/auth/login", json={"email": email}, environ_overrides={"REMOTE_ADDR": address}
        )

    def test_it_is_limited_for_an_address_and_an_account_together(
        self, client: FlaskClient
    ) -> None:
        for left in range(9, -1, -1):
            answer = self.attempt(client, "alice@example.com")
            assert (answer.status_code, remaining(answer)) == (400, left)
        refused = self.attempt(client, "alice@example.com")
        error_of(refused, 429, "RATE_LIMIT_EXCEEDED")
        assert refused.headers["RateLimit-Limit"] == "10"
        assert int(refused.headers["Retry-After"]) >= 1
        assert self.attempt(client, "bob@example.com").status_code == 400
        assert self.attempt(client, "alice@example.com", "192.0.2.1").status_code == 400
        assert call(client, "127.0.0.1").status_code == 200

    def test_an_account_is_counted_as_one_however_it_is_spelt(self, client: FlaskClient) -> None:
        spellings = (
            "alice@example.com",
            "ALICE@Example.COM",
            "  alice@example.com\t",
            "\uff41lice@example.com",
            "\U0001d41alice@example.com",
        )
        counts = [remaining(self.attempt(client, email)) for email in spellings]
        assert counts == [9, 8, 7, 6, 5]

    def test_all_doors_for_signing_in_are_counted_together(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(RATE_LIMITS="on")
        email = new_person("Alice", of=app).email
        client = app.test_client()
        for _ in range(9):
            self.attempt(client, email)
        given = {"email": email, "password": PASSWORD}
        assert client.post("/login", data=given).status_code == 303
        for path, sent in (("/login", {"data": given}), ("/api/auth/login", {"json": given})):
            assert client.post(path, **sent).status_code == 429

    def test_a_body_that_names_no_account_is_counted_too(self, client: FlaskClient) -> None:
        bodies: tuple[dict[str, Any], ...] = (
            {"json": {}},
            {"json": []},
            {"json": {"email": ["alice@example.com"]}},
            {"data": "{", "content_type": "application/json"},
            {"data": "x" * (1024 * 1024 + 1), "content_type": "application/json"},
            {},
        )
        for sent in bodies:
            answer = client.post("/api/auth/login", **sent)
            assert answer.status_code in (400, 413)
            assert answer.headers["RateLimit-Limit"] == "10"


class TestDownloads:
    def test_they_are_ten_a_minute_a_user_whatever_is_asked_for(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(RATE_LIMITS="on")
        alice, bob = new_person("Alice", of=app), new_person("Bob", of=app)
        paths = [f"/api/services/download/{kind}/none" for kind in ("hosting", "kubernetes")]
        for number in range(10):
            answer = alice.get(paths[number % 2])
            error_of(answer, 404, "SERVICE_NOT_FOUND")
            assert remaining(answer) == 9 - number
        for path in paths:
            error_of(alice.get(path), 429, "RATE_LIMIT_EXCEEDED")
            error_of(bob.get(path), 404, "SERVICE_NOT_FOUND")
        assert alice.get(CHEAP).status_code == 200


class TestSharedCounting:
    def test_two_processes_count_together(self, make_bare_app: MakeApp, redis_url: str) -> None:
        address = unique_address()
        one, other = (
            make_bare_app(RATE_LIMITS="on", REDIS_URL=redis_url).test_client() for _ in range(2)
        )
        counts = [remaining(call(each, address)) for each in (one, other, one, other)]
        assert counts == [ANONYMOUS - 1, ANONYMOUS - 2, ANONYMOUS - 3, ANONYMOUS - 4]

    def test_a_caller_cannot_make_a_process_count_alone(
        self, make_bare_app: MakeApp, redis_url: str
    ) -> None:
        address = unique_address()
        one, other = (
            make_bare_app(RATE_LIMITS="on", REDIS_URL=redis_url).test_client() for _ in range(2)
        )
        too_large = one.post(
            "/api/auth/login",
            data="x" * (1024 * 1024 + 1),
            content_type="application/json",
            environ_overrides={"REMOTE_ADDR": address},
        )
        error_of(too_large, 413, "PAYLOAD_TOO_LARGE")
        assert remaining(call(one, address)) == ANONYMOUS - 2
        assert remaining(call(other, address)) == ANONYMOUS - 3

    def test_without_redis_the_process_answers_and_counts_by_itself(
        self, make_bare_app: MakeApp
    ) -> None:
        client = make_bare_app(RATE_LIMITS="on", REDIS_URL="redis://127.0.0.1:1").test_client()
        error_of(exhaust(client), 429, "RATE_LIMIT_EXCEEDED")

    def test_a_redis_that_hangs_does_not_hang_the_process(self, make_bare_app: MakeApp) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
            client = make_bare_app(RATE_LIMITS="on", REDIS_URL=url).test_client()
            started = time.monotonic()
            data_of(client.get(CHEAP))
            assert time.monotonic() - started < 8

    def test_redis_may_listen_on_a_socket_file(self, make_bare_app: MakeApp) -> None:
        app = make_bare_app(RATE_LIMITS="on", REDIS_URL="unix:///nowhere/redis.sock")
        data_of(app.test_client().get(CHEAP))
