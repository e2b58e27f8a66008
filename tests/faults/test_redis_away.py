"""A Redis that goes and comes back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.engines import Engine, engine
from tests.faults.rig import OUTAGE_SECONDS, settings_of, under_load
from tests.processes.servers import Server, eventually, serving


@pytest.fixture
def redis() -> Iterator[Engine]:
    with engine("redis") as own:
        yield own


@pytest.fixture
def database() -> Iterator[Engine]:
    with engine("postgresql") as own:
        yield own


def test_nothing_fails_without_it(tmp_path: Path, redis: Engine, database: Engine) -> None:
    """Without Redis every request is answered, events are told, and ended sessions stay ended.

    Only /readyz says so. Jobs wait for it, and go on when it is back; none is made twice.
    """
    settings = settings_of(
        tmp_path,
        database,
        REDIS_URL=redis.url,
        REGISTRATION="invite",
        RATE_LIMITS="on",
        RATE_LIMIT_SIGNED_IN="100000 per minute",
        RATE_LIMIT_SIGN_IN="1000 per minute",
        RATE_LIMIT_ANONYMOUS="100000 per minute",
    )
    with serving(tmp_path / "server", **settings) as server:
        server.wait_for_worker()
        with under_load(server, settings, "redis", clients=2) as rig:
            second = server.token()
            redis.kill()
            gone = time.monotonic()
            eventually(lambda: server.get("/readyz").status == 503, "/readyz says so", 10)
            rig.writers.wait_for_more()
            assert server.post("/api/auth/logout", {}, second).status == 200
            _invite(server, rig.writers.token)
            time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - gone)))
            rig.writers.wait_for_more()
            told = rig.follower.created
            eventually(lambda: set(rig.writers.acknowledged.values()) & told != set(), "told")
            redis.start()
            rig.ended()
            eventually(server.is_ready, "/readyz says that it is back", 10)
            assert server.get("/api/auth/me", second).status == 401
            eventually(lambda: _letters(server) > 0, "the letter is sent", 20)
        assert rig.writers.unknown == []
        assert rig.writers.slowest_success < 6
        assert _letters(server) == 1


def _invite(server: Server, token: str) -> None:
    body = {"email": "someone@example.com", "role": "user"}
    assert server.post("/api/invitations", body, token).status == 201


def _letters(server: Server) -> int:
    return server.stderr.count("To: someone@example.com")
