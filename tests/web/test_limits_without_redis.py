"""Rate limits while Redis is away: answers stay quick, and each process counts by itself."""

import socket
import time
from collections.abc import Iterator
from importlib import import_module

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from cms_services.errors import Unauthenticated
from tests.conftest import MakeApp, NewPerson
from tests.faults.engines import Engine, engine
from tests.people import PASSWORD, data_of, error_of

CHEAP = "/api/service-types"
# Well above what an answer takes, and below what several timeouts would add up to.
QUICK_SECONDS = 2.5


@pytest.fixture
def redis() -> Iterator[Engine]:
    """A Redis of the test's own, which it may kill."""
    with engine("redis", remembers=False) as own:
        yield own


def stored_keys(redis: Engine) -> int:
    with Redis.from_url(redis.url) as client:
        return int(client.dbsize())


@pytest.fixture
def app(make_bare_app: MakeApp, redis: Engine) -> Flask:
    return make_bare_app(RATE_LIMITS="on", REDIS_URL=redis.url, RATE_LIMIT_ANONYMOUS="20 per hour")


def remaining(answer: TestResponse) -> int:
    return int(answer.headers["RateLimit-Remaining"])


def quickly(client: FlaskClient, path: str = CHEAP) -> TestResponse:
    """Ask, and fail where the answer keeps somebody waiting."""
    began = time.monotonic()
    answer = client.get(path)
    assert time.monotonic() - began < QUICK_SECONDS
    return answer


class TestRedisThatDies:
    def test_answers_stay_quick_and_limits_go_on(self, client: FlaskClient, redis: Engine) -> None:
        assert [remaining(quickly(client)) for _ in range(3)] == [19, 18, 17]
        redis.kill()
        began = time.monotonic()
        assert [remaining(quickly(client)) for _ in range(20)] == list(range(19, -1, -1))
        error_of(quickly(client), 429, "RATE_LIMIT_EXCEEDED")
        assert time.monotonic() - began < 2 * QUICK_SECONDS

    def test_when_it_is_back_it_counts_again(self, client: FlaskClient, redis: Engine) -> None:
        data_of(client.get(CHEAP))
        redis.kill()
        data_of(client.get(CHEAP))
        redis.start()
        assert stored_keys(redis) == 0
        deadline = time.monotonic() + 15
        while stored_keys(redis) == 0:
            assert time.monotonic() < deadline
            assert quickly(client).status_code in (200, 429)
            time.sleep(0.2)

    def test_in_the_middle_of_a_failure_to_sign_in_changes_no_answer(
        self, client: FlaskClient, redis: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            redis.kill()
            raise Unauthenticated("no")

        given = {"email": "alice@example.com", "password": "x"}
        for module in ("api.auth", "dashboard.signing_in_pages"):
            monkeypatch.setattr(import_module(f"cms_services.{module}"), "check_password_of", fail)
        refused = client.post("/api/auth/login", json=given)
        error_of(refused, 401, "UNAUTHENTICATED")
        assert refused.headers["X-Frame-Options"] == "DENY"
        assert client.post("/login", data=given).status_code == 401

    def test_somebody_who_is_signed_in_notices_nothing(
        self, make_app: MakeApp, new_person: NewPerson, redis: Engine
    ) -> None:
        app = make_app(RATE_LIMITS="on", REDIS_URL=redis.url)
        alice = new_person("Alice", of=app)
        given = {"email": alice.email, "password": PASSWORD}
        data_of(alice.client.post("/api/auth/login", json=given))
        redis.kill()
        began = time.monotonic()
        for _ in range(5):
            data_of(alice.get("/api/auth/me"))
            data_of(alice.client.get("/api/auth/me"))
        assert time.monotonic() - began < QUICK_SECONDS


class TestRedisThatHangs:
    def test_it_keeps_few_waiting(self, client: FlaskClient, redis: Engine) -> None:
        data_of(client.get(CHEAP))
        redis.freeze()
        began = time.monotonic()
        for _ in range(10):
            assert quickly(client).status_code == 200
        # Asked again after one second, then after two, and then after four.
        assert time.monotonic() - began < 3 * QUICK_SECONDS


class TestRedisThatNeverWasThere:
    def test_the_process_counts_by_itself(self, make_bare_app: MakeApp) -> None:
        client = make_bare_app(
            RATE_LIMITS="on", RATE_LIMIT_ANONYMOUS="5 per hour", REDIS_URL="redis://127.0.0.1:1"
        ).test_client()
        assert [remaining(quickly(client)) for _ in range(5)] == [4, 3, 2, 1, 0]
        error_of(quickly(client), 429, "RATE_LIMIT_EXCEEDED")

    def test_one_that_only_listens_does_not_hang_the_process(self, make_bare_app: MakeApp) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
            client = make_bare_app(RATE_LIMITS="on", REDIS_URL=url).test_client()
            data_of(quickly(client))
