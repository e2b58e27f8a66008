"""Rate limits: who is counted, how much is allowed, and what an answer says of it.

What happens while Redis is away is told in test_limits_without_redis.py.
"""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import MakeApp, NewPerson
from tests.people import PASSWORD, Person, data_of, error_of

# Answered without the database, to anybody.
CHEAP = "/api/service-types"
ANONYMOUS, SIGNED_IN = 120, 600


@dataclass
class Clock:
    """The time that limits are counted by, other than in Redis."""

    now: float

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time stands still, so that no window of a limit ends within a test by itself."""
    made = Clock(time.time())
    monkeypatch.setattr(time, "time", lambda: made.now)
    return made


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

    @pytest.mark.parametrize(
        ("one", "same", "other"),
        [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:3::1"),
            ("::ffff:192.0.2.7", "192.0.2.7", "::ffff:192.0.2.8"),
        ],
    )
    def test_whoever_has_a_whole_network_of_ipv6_is_one_caller(
        self, client: FlaskClient, one: str, same: str, other: str
    ) -> None:
        assert remaining(call(client, one)) == ANONYMOUS - 1
        assert remaining(call(client, same)) == ANONYMOUS - 2
        assert remaining(call(client, other)) == ANONYMOUS - 1

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


@pytest.fixture(params=["memory", "redis"])
def limited(request: pytest.FixtureRequest, make_app: MakeApp) -> Callable[..., Flask]:
    """Make an application with limits of its own, counted in memory and in Redis."""
    settings = {"RATE_LIMITS": "on"}
    if request.param == "redis":
        settings["REDIS_URL"] = request.getfixturevalue("redis_url")
    return lambda **given: make_app(**(settings | given))


def require_limited(ask: Callable[[], TestResponse], times: int) -> TestResponse:
    """Fail unless exactly so many calls are let through. Returns the first refused answer."""
    for left in range(times - 1, -1, -1):
        answer = ask()
        assert answer.status_code != 429
        assert answer.headers["RateLimit-Limit"] == str(times)
        assert remaining(answer) == left
    refused = ask()
    error_of(refused, 429, "RATE_LIMIT_EXCEEDED")
    assert (refused.headers["RateLimit-Limit"], remaining(refused)) == (str(times), 0)
    # A window more than begins now, and the part of a second.
    reset, retry = int(refused.headers["RateLimit-Reset"]), int(refused.headers["Retry-After"])
    assert 1 <= retry == reset <= 3601
    return refused


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
class TestEachPolicyBySetting:
    def test_anonymous(self, limited: Callable[..., Flask]) -> None:
        client = limited(RATE_LIMIT_ANONYMOUS="3 per hour; 50 per 2 hours").test_client()
        address = unique_address()
        require_limited(lambda: call(client, address), 3)
        data_of(call(client, unique_address()))

    def test_signed_in(self, limited: Callable[..., Flask], new_person: NewPerson) -> None:
        app = limited(RATE_LIMIT_SIGNED_IN="3 per hour")
        alice, bob = new_person("Alice", of=app), new_person("Bob", of=app)
        require_limited(lambda: alice.get(CHEAP), 3)
        data_of(bob.get(CHEAP))

    def test_sign_in(self, limited: Callable[..., Flask]) -> None:
        client = limited(RATE_LIMIT_SIGN_IN="3 per hour").test_client()
        address, email = unique_address(), f"{uuid.uuid4()}@example.com"
        require_limited(lambda: sign_in(client, email, address), 3)
        assert sign_in(client, email, unique_address()).status_code == 401
        assert sign_in(client, f"other-{email}", address).status_code == 401

    def test_sign_in_failures(self, limited: Callable[..., Flask]) -> None:
        client = limited(RATE_LIMIT_SIGN_IN_FAILURES="3 per hour").test_client()
        email = f"{uuid.uuid4()}@example.com"
        require_limited(lambda: sign_in(client, email, unique_address()), 3)
        assert sign_in(client, f"other-{email}", unique_address()).status_code == 401

    def test_letters(self, limited: Callable[..., Flask]) -> None:
        client = limited(RATE_LIMIT_LETTERS="3 per hour").test_client()
        email = f"{uuid.uuid4()}@example.com"

        def ask(to: str = email) -> TestResponse:
            return client.post(
                "/api/auth/password/forgot",
                json={"email": to},
                environ_overrides={"REMOTE_ADDR": unique_address()},
            )

        require_limited(ask, 3)
        data_of(ask(f"other-{email}"), 202)

    def test_download(self, limited: Callable[..., Flask], new_person: NewPerson) -> None:
        app = limited(RATE_LIMIT_DOWNLOAD="3 per hour")
        alice, bob = new_person("Alice", of=app), new_person("Bob", of=app)
        kinds = iter(("hosting", "kubernetes") * 3)
        require_limited(lambda: alice.get(f"/api/services/download/{next(kinds)}/none"), 3)
        error_of(bob.get("/api/services/download/hosting/none"), 404, "SERVICE_NOT_FOUND")
        assert alice.get(CHEAP).status_code == 200

    def test_ingest(self, limited: Callable[..., Flask], new_person: NewPerson) -> None:
        app = limited(RATE_LIMIT_INGEST="3 per hour")
        alice = new_person("Alice", of=app)
        shop, blog = (alice.new_service(name=name)["id"] for name in ("Shop", "Blog"))
        require_limited(lambda: alice.post(f"/api/services/{shop}/logs", json=ENTRIES), 3)
        data_of(alice.post(f"/api/services/{blog}/logs", json=ENTRIES), 202)

    def test_ingest_by_a_services_own_tokens(
        self, limited: Callable[..., Flask], new_person: NewPerson
    ) -> None:
        app = limited(RATE_LIMIT_INGEST="4 per hour")
        alice, client = new_person("Alice", of=app), app.test_client()
        shop, blog = (alice.new_service(name=name) for name in ("Shop", "Blog"))
        tokens = [ingest_token(alice, shop) for _ in range(2)]

        def write(token: str, service: dict[str, Any], name: str = "id") -> TestResponse:
            path = f"/api/services/{service[name]}/logs"
            return client.post(path, json=ENTRIES, headers={"Authorization": f"Bearer {token}"})

        turns = iter([(tokens[0], "id"), (tokens[1], "id"), (tokens[0], "serviceId")] * 2)

        def ask() -> TestResponse:
            token, name = next(turns)
            return write(token, shop, name)

        require_limited(ask, 4)
        # Neither the owner nor another service pays for it.
        data_of(alice.post(f"/api/services/{shop['id']}/logs", json=ENTRIES), 202)
        data_of(write(ingest_token(alice, blog), blog), 202)


ENTRIES = {"entries": [{"level": "info", "message": "hello"}]}


def ingest_token(owner: Person, service: dict[str, Any]) -> str:
    path = f"/api/services/{service['id']}/ingest-tokens"
    return str(data_of(owner.post(path, json={"name": "agent"}), 201)["token"])


def sign_in(
    client: FlaskClient,
    email: str,
    address: str = "127.0.0.1",
    password: str = "Wrong-horse-8",
    door: str = "/api/auth/login",
) -> TestResponse:
    """Try to sign in, by the API or by the page."""
    given = {"email": email, "password": password}
    body: dict[str, Any] = {"data": given} if door == "/login" else {"json": given}
    return client.post(door, environ_overrides={"REMOTE_ADDR": address}, **body)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
class TestFailuresToSignIn:
    """Counted by account over all addresses; each attempt below comes from one of its own."""

    @pytest.fixture
    def app(self, make_app: MakeApp) -> Flask:
        return make_app(RATE_LIMITS="on", RATE_LIMIT_SIGN_IN_FAILURES="4 per hour")

    @pytest.fixture
    def client(self, app: Flask) -> FlaskClient:
        return app.test_client()

    def test_both_doors_are_counted_together_and_success_is_not(
        self, client: FlaskClient, alice: Person
    ) -> None:
        doors = {"/api/auth/login": 200, "/login": 303}
        for failures in range(4):
            door = list(doors)[failures % 2]
            right = sign_in(client, alice.email, unique_address(), PASSWORD, door)
            assert right.status_code == doors[door]
            assert sign_in(client, alice.email, unique_address(), door=door).status_code == 401
        for door in doors:
            refused = sign_in(client, alice.email, unique_address(), PASSWORD, door)
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) > 0

    def test_below_that_nobody_is_kept_out_by_somebody_elses_failures(
        self, client: FlaskClient, alice: Person, bob: Person
    ) -> None:
        for _ in range(3):
            assert sign_in(client, alice.email, "192.0.2.66").status_code == 401
        assert sign_in(client, alice.email, "192.0.2.1", PASSWORD).status_code == 200
        assert sign_in(client, bob.email, "192.0.2.66", PASSWORD).status_code == 200

    def test_whoever_is_asked_for_the_second_factor_has_not_failed(
        self, client: FlaskClient, alice: Person
    ) -> None:
        secret = enrol(alice)
        for _ in range(6):
            answer = sign_in(client, alice.email, unique_address(), PASSWORD)
            error_of(answer, 401, "SECOND_FACTOR_REQUIRED")
        given = {"email": alice.email, "password": PASSWORD, "code": pyotp.TOTP(secret).now()}
        assert client.post("/api/auth/login", json=given).status_code in (200, 401)

    def test_wrong_codes_are_failures(self, client: FlaskClient, alice: Person) -> None:
        enrol(alice)
        given = {"email": alice.email, "password": PASSWORD, "code": "000000"}
        for status in (401, 401, 401, 401, 429):
            answer = client.post(
                "/api/auth/login",
                json=given,
                environ_overrides={"REMOTE_ADDR": unique_address()},
            )
            assert answer.status_code == status

    def test_so_are_wrong_codes_on_the_page_whatever_else_is_sent(
        self, app: Flask, alice: Person, bob: Person
    ) -> None:
        enrol(alice)
        browser = app.test_client()
        shown = sign_in(browser, alice.email, unique_address(), PASSWORD, "/login")
        assert shown.headers["Location"] == "/login/code"
        for number, status in enumerate((401, 401, 401, 401, 429)):
            answer = browser.post(
                "/login/code",
                # Neither another name nor another's token makes it count for somebody else.
                data={"code": "000000", "email": f"decoy-{number}@example.com"},
                headers={"Authorization": f"Bearer {bob.token}"} if number % 2 else {},
                environ_overrides={"REMOTE_ADDR": unique_address()},
            )
            assert answer.status_code == status

    def test_so_are_wrong_passwords_of_somebody_who_is_signed_in(
        self, alice: Person, bob: Person
    ) -> None:
        wrong = {"currentPassword": "Wrong-horse-8", "newPassword": "Battery-staple-9"}
        for status in (400, 400, 400, 400, 429):
            answer = alice.post(
                "/api/auth/password",
                json=wrong,
                environ_overrides={"REMOTE_ADDR": unique_address()},
            )
            assert answer.status_code == status
        assert bob.post("/api/auth/password", json=wrong).status_code == 400

    def test_an_id_that_is_given_as_an_address_is_nobodys_account(
        self, client: FlaskClient, alice: Person
    ) -> None:
        for _ in range(4):
            sign_in(client, alice.user_id, unique_address())
        assert sign_in(client, alice.user_id, unique_address()).status_code == 429
        wrong = {"currentPassword": "Wrong-horse-8", "newPassword": "Battery-staple-9"}
        assert alice.post("/api/auth/password", json=wrong).status_code == 400

    def test_a_link_that_names_nobody_is_counted_by_address_alone(
        self, client: FlaskClient
    ) -> None:
        given = {"token": "x" * 43, "password": "Battery-staple-9"}

        def ask(address: str) -> TestResponse:
            overrides = {"REMOTE_ADDR": address}
            return client.post("/api/auth/password/reset", json=given, environ_overrides=overrides)

        for left in range(9, -1, -1):
            answer = ask("192.0.2.66")
            assert (answer.status_code, remaining(answer)) == (400, left)
        error_of(ask("192.0.2.66"), 429, "RATE_LIMIT_EXCEEDED")
        assert ask("192.0.2.1").status_code == 400

    def test_no_line_and_no_key_names_the_account(
        self,
        make_app: MakeApp,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Some type their password into the field."""
        monkeypatch.setattr(logging.getLogger(), "handlers", logging.getLogger().handlers[:])
        app = make_app(LOG_LEVEL="debug", RATE_LIMITS="on", RATE_LIMIT_SIGN_IN="1 per hour")
        client = app.test_client()
        for status in (401, 429, 429):
            assert sign_in(client, "hunter2-typed-here").status_code == status
        (limiter,) = app.extensions["limiter"]
        told = capsys.readouterr()
        assert "sign-in" in told.out
        assert "hunter2" not in told.out + told.err + str(limiter.storage.storage)


def enrol(person: Person) -> str:
    """Give an account a second factor; its secret."""
    path = "/api/auth/second-factor"
    made = data_of(person.post(path, json={"password": PASSWORD}), 201)
    code = pyotp.TOTP(made["secret"]).now()
    data_of(person.post(f"{path}/confirm", json={"code": code}))
    return str(made["secret"])


class TestWhatAnAnswerTells:
    def test_of_several_limits_it_is_the_tightest(self, make_bare_app: MakeApp) -> None:
        client = make_bare_app(
            RATE_LIMITS="on", RATE_LIMIT_ANONYMOUS="5 per hour", RATE_LIMIT_SIGN_IN="4 per minute"
        ).test_client()
        told = []
        for _ in range(4):
            answer = client.post("/api/auth/login", json={"email": "alice@example.com"})
            told.append((answer.headers["RateLimit-Limit"], remaining(answer)))
        assert told == [("4", 3), ("4", 2), ("4", 1), ("4", 0)]
        call(client, "127.0.0.1")
        # The caller's own limit is at its end too, and stays there for longer.
        refused = client.post("/api/auth/login", json={"email": "alice@example.com"})
        error_of(refused, 429, "RATE_LIMIT_EXCEEDED")
        assert refused.headers["RateLimit-Limit"] == "5"

    def test_a_failure_that_used_up_the_limit_says_so(self, make_bare_app: MakeApp) -> None:
        client = make_bare_app(
            RATE_LIMITS="on", RATE_LIMIT_SIGN_IN_FAILURES="1 per hour"
        ).test_client()
        failed = client.post("/api/auth/login", json={"email": "alice@example.com"})
        assert (failed.status_code, failed.headers["RateLimit-Limit"], remaining(failed)) == (
            400,
            "1",
            0,
        )

    @pytest.mark.parametrize("limit", ["1 per minute", "3 per minute", "7 per 2 hours"])
    @pytest.mark.parametrize("gap", [0.0, 0.7, 13.1])
    def test_whoever_waits_as_long_as_it_says_is_answered(
        self, make_bare_app: MakeApp, clock: Clock, limit: str, gap: float
    ) -> None:
        client = make_bare_app(RATE_LIMITS="on", RATE_LIMIT_ANONYMOUS=limit).test_client()
        refusals = 0
        for _ in range(30):
            answer = call(client, "192.0.2.1")
            if answer.status_code == 429:
                refusals += 1
                clock.pass_by(int(answer.headers["Retry-After"]))
                data_of(call(client, "192.0.2.1"))
            clock.pass_by(gap)
        assert refusals > 2

    def test_a_limit_that_is_over_begins_anew(self, client: FlaskClient, clock: Clock) -> None:
        error_of(exhaust(client), 429, "RATE_LIMIT_EXCEEDED")
        clock.pass_by(1200)
        assert remaining(call(client, "127.0.0.1")) == ANONYMOUS - 1


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

    def test_a_database_that_is_away_does_not_make_a_process_count_alone(
        self, make_bare_app: MakeApp, redis_url: str
    ) -> None:
        address = unique_address()
        one, other = (
            make_bare_app(
                RATE_LIMITS="on",
                REDIS_URL=redis_url,
                DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
            ).test_client()
            for _ in range(2)
        )
        headers = {"Authorization": "Bearer cms_any"}
        error_of(call(one, address, "/api/auth/me", headers=headers), 503, "NOT_READY")
        counts = [remaining(call(each, address)) for each in (one, other, one)]
        assert counts == [ANONYMOUS - 1, ANONYMOUS - 2, ANONYMOUS - 3]

    def test_redis_may_listen_on_a_socket_file(self, make_bare_app: MakeApp) -> None:
        app = make_bare_app(RATE_LIMITS="on", REDIS_URL="unix:///nowhere/redis.sock")
        data_of(app.test_client().get(CHEAP))
