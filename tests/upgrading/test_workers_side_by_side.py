"""Background workers of two versions side by side, and one that is told to stop amid its work."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from flask import Flask

from cms_services.settings import current_settings
from cms_services.worker.jobs import Job
from cms_services.worker.queue import JobConsumer, add_periodic, new_queue
from cms_services.worker.running import run_if_due
from tests.conftest import MakeApp
from tests.processes.servers import eventually

HOUR = timedelta(hours=1)


@contextmanager
def worker(app: Flask, folder: Path, jobs: list[Job]) -> Iterator[JobConsumer]:
    """A worker of a version that knows these jobs."""

    def run(job: Job) -> bool:
        with app.app_context():
            return run_if_due(job)

    with app.app_context():
        settings = replace(current_settings(), data_dir=folder)
    queue = new_queue(settings, jobs)
    for job in jobs:
        add_periodic(queue, job, partial(run, job))
    consumer = JobConsumer(queue)
    consumer.start()
    try:
        yield consumer
    finally:
        consumer.stop(graceful=True)


@pytest.mark.parametrize("store", ["file", "redis"])
def test_each_does_what_it_knows_and_nothing_is_done_twice_or_lost(
    make_app: MakeApp,
    redis_url: str,
    tmp_path: Path,
    store: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app(**({"REDIS_URL": redis_url} if store == "redis" else {}))
    done: Counter[str] = Counter()

    def job(name: str) -> Job:
        def run(_: object) -> int:
            done[name] += 1
            return 1

        return Job(name, HOUR, run)

    both, dropped, added = job("of both"), job("of the old"), job("of the new")
    # More old ones, so that most of what a new one enqueues would be theirs to take.
    with (
        worker(app, tmp_path, [both, dropped]),
        worker(app, tmp_path, [both, dropped]),
        worker(app, tmp_path, [both, added]),
    ):
        eventually(lambda: len(done) == 3, "every job is done")
    assert set(done.values()) == {1}
    assert "not found in TaskRegistry" not in caplog.text


def test_one_that_stops_ends_what_it_has_begun(make_app: MakeApp, tmp_path: Path) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def run(_: object) -> int:
        begun.set()
        may_end.wait(20)
        ended.set()
        return 1

    with worker(make_app(), tmp_path, [Job("long", HOUR, run)]) as consumer:
        assert begun.wait(20)
        stopping = threading.Thread(target=consumer.stop, kwargs={"graceful": True})
        stopping.start()
        assert not ended.is_set()
        may_end.set()
        stopping.join(30)
        assert not stopping.is_alive()
        assert ended.is_set()
