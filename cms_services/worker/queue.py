"""The queue of periodic work: Huey, over Redis where several machines share one, else over a file.

Each worker enqueues what is due, and any of them takes it. That nothing runs twice is not the
queue's business but the claims' (claims.py), which stand in the database that the work changes.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from huey import Huey, RedisHuey, SqliteHuey
from huey.consumer import Consumer, Scheduler
from huey.registry import Message
from huey.serializer import Serializer

from cms_services.clock import now
from cms_services.settings import Settings
from cms_services.worker.jobs import JOBS, Job

_THREADS = 4
# How often it looks whether a job is due; none is due more often.
_LOOK_SECONDS = 5
_STOP_SECONDS = 25
_REDIS_TIMEOUT_SECONDS = 5


def new_queue(settings: Settings, jobs: Sequence[Job] = JOBS) -> Huey:
    """The queue that the workers of this installation, or of this data folder, share.

    Only those that know the same jobs do: Huey drops what it has no function for, so workers of an
    earlier version would lose what those of a later one enqueue. The claims hold for all of them.
    """
    known = "\n".join(sorted(job.name for job in jobs))
    kind = hashlib.sha256(known.encode()).hexdigest()[:8]
    common = {"serializer": _Json(), "results": False}
    if settings.redis_url is None:
        file = settings.data_dir / "jobs.sqlite3"
        # Private, as all in that folder: SQLite would go by the umask alone.
        file.touch(mode=0o600)
        # What is lost with the machine is enqueued again when it is due again.
        return SqliteHuey(f"jobs-{kind}", filename=str(file), fsync=False, **common)
    # One Redis may serve several installations.
    whose = hashlib.sha256(settings.effective_database_url.encode()).hexdigest()[:16]
    return RedisHuey(f"cms-services-{whose}-{kind}", url=settings.redis_url, **common)


def add_periodic(queue: Huey, job: Job, run: Callable[[], bool]) -> None:
    """Let the queue run a job in each of its periods, again and again until `run` returns True."""
    due = _Due(job.every)

    def run_and_note() -> None:
        period = due.present_period()
        if run():
            due.done = period

    queue.periodic_task(due, name=job.name.replace(" ", "_"))(run_and_note)


class JobConsumer(Consumer):
    """Runs what is in the queue, in threads of the process that it stands in."""

    def __init__(self, queue: Huey) -> None:
        self.scheduler_class = _QuickScheduler
        super().__init__(queue, workers=_THREADS, max_delay=2.0, shutdown_timeout=_STOP_SECONDS)

    def _set_signal_handlers(self) -> None:
        """The process's own loop hears the signals."""


class _QuickScheduler(Scheduler):
    periodic_task_seconds = _LOOK_SECONDS


class _Due:
    """Whether a job is still to be done in the present period, as far as this process knows."""

    def __init__(self, every: timedelta) -> None:
        self._seconds = every.total_seconds()
        self.done: int | None = None

    def present_period(self) -> int:
        return int(now().timestamp() // self._seconds)

    def __call__(self, _: datetime) -> bool:
        return self.present_period() != self.done


class _Json(Serializer):
    """Huey's own form, pickle, would let whoever writes to Redis run code here."""

    def _serialize(self, data: Message) -> bytes:
        return orjson.dumps(list(data))

    def _deserialize(self, data: bytes) -> Any:
        message = Message(*orjson.loads(data))
        return message._replace(args=tuple(message.args or ()))
