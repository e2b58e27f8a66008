"""Jobs whose worker is killed, or whose queue is lost."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import pytest
from psycopg import Connection, connect
from redis import Redis as RedisClient

from cms_services.worker.jobs import JOBS
from tests.faults.engines import Engine, engine
from tests.faults.rig import settings_of, under_load
from tests.processes.servers import Server, eventually, serving, start

_JOB = "prune ingested batches"


@pytest.fixture(scope="module")
def database() -> Iterator[Engine]:
    with engine("postgresql") as own:
        yield own


def one(database: Engine, query: LiteralString, *parameters: object) -> Any:
    with connect(database.url) as connection:
        (found,) = connection.execute(query, parameters).fetchone() or (None,)
        return found


@contextmanager
def locked(database: Engine, statement: LiteralString) -> Iterator[Connection[Any]]:
    """Hold a lock in a transaction that is committed with the block, if not by hand before."""
    with connect(database.url) as connection:
        connection.execute(statement)
        yield connection


def waiting_for_locks(database: Engine) -> int:
    return int(
        one(database, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    )


@contextmanager
def a_worker(folder: Path, settings: dict[str, str]) -> Iterator[Server]:
    with start(folder, "worker", **settings) as worker:
        worker.wait_for_worker()
        yield worker


def test_a_worker_between_its_claim_and_its_work(tmp_path: Path, database: Engine) -> None:
    """What a killed worker had taken and not begun is done in the next period, by another."""
    settings = settings_of(tmp_path, database, WORKER_BESIDE_WEB="off")
    with (
        serving(tmp_path / "server", **settings) as server,
        under_load(server, settings, "claimed", clients=2) as rig,
    ):
        token = rig.writers.token
        made = server.post("/api/services", {"name": "with logs", "type": "api"}, token).data
        logs = {"batchId": "old", "entries": [{"level": "info", "message": "one"}]}
        answer = server.post(f"/api/services/{made['id']}/logs", logs, token)
        assert answer.status == 202, answer.body
        with locked(database, "LOCK TABLE ingest_batches IN ACCESS EXCLUSIVE MODE") as holding:
            holding.execute("UPDATE ingest_batches SET at = at - interval '3 days'")
            with a_worker(tmp_path / "killed", settings) as worker:
                eventually(lambda: _claims(database) > 0, "the job is taken")
                eventually(lambda: waiting_for_locks(database) > 0, "it waits for its work")
                os.kill(worker.process.pid, signal.SIGKILL)
            rig.writers.wait_for_more()
        eventually(lambda: waiting_for_locks(database) == 0, "what was killed waits no more")
        assert _claims(database) > 0
        assert one(database, "SELECT count(*) FROM ingest_batches") == 1
        with connect(database.url) as connection:
            # As when it is due again, a minute later.
            connection.execute(
                "UPDATE job_claims SET period_start = period_start - interval '1 hour'"
                " WHERE job = %s",
                (_JOB,),
            )
        with a_worker(tmp_path / "next", settings):
            eventually(
                lambda: one(database, "SELECT count(*) FROM ingest_batches") == 0, "it is done"
            )
        rig.ended()


def _claims(database: Engine) -> int:
    return int(one(database, "SELECT count(*) FROM job_claims WHERE job = %s", _JOB))


@pytest.mark.parametrize("remembers", [True, False], ids=["appendonly", "forgetful"])
def test_queued_jobs_when_redis_restarts(
    tmp_path: Path, database: Engine, *, remembers: bool
) -> None:
    """What is queued outlives Redis with `appendonly yes`; else it is enqueued when it is due.

    Either way each job is done.
    """
    claimed = {job.name for job in JOBS if not job.shared}
    with engine("redis", remembers=remembers) as redis:
        settings = settings_of(tmp_path, database, WORKER_BESIDE_WEB="off", REDIS_URL=redis.url)
        with serving(tmp_path / "server", **settings):
            with locked(database, "LOCK TABLE job_claims IN ACCESS EXCLUSIVE MODE") as holding:
                holding.execute("DELETE FROM job_claims")
                with a_worker(tmp_path / "killed", settings) as worker:
                    # Its threads wait with a job each; what else is due stays in the queue.
                    eventually(lambda: _queued(redis) > len(JOBS) / 2, "jobs are queued")
                    os.kill(worker.process.pid, signal.SIGKILL)
                    worker.process.wait(10)
                before = _queued(redis)
                redis.kill()
                redis.start()
                assert _queued(redis) == (before if remembers else 0)
            with a_worker(tmp_path / "next", settings):
                eventually(lambda: _done(database) >= claimed, "each job is done")
                if remembers:
                    eventually(lambda: _queued(redis) == 0, "what was queued is taken")


def _queued(redis: Engine) -> int:
    with RedisClient.from_url(redis.url, socket_timeout=5) as client:
        return sum(client.llen(key) for key in client.keys("huey.redis.*"))


def _done(database: Engine) -> set[str]:
    with connect(database.url) as connection:
        return {job for (job,) in connection.execute("SELECT DISTINCT job FROM job_claims")}
