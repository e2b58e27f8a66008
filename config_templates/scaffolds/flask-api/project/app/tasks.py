"""The queue of background tasks: a table, of which any number of workers take rows."""

import logging
from datetime import timedelta
from threading import Event

from sqlalchemy import select, update

from app.extensions import db
from app.jobs import JOBS
from app.models import Task
from app.utilities.helpers import utc_now

_log = logging.getLogger(__name__)
# A task that takes longer than its lease is taken again by another worker.
_LEASE = timedelta(minutes=5)
_MOST_ATTEMPTS = 5
_IDLE_SECONDS = 1.0


def enqueue(name: str, owner_id: int) -> Task:
    """Have a job of JOBS done once the caller's transaction is committed."""
    task = Task(name=name, owner_id=owner_id)
    db.session.add(task)
    return task


def work(stop: Event) -> None:
    """Do what is due until told to stop, which ends with the task at hand."""
    while not stop.is_set():
        try:
            idle = not run_next()
        except Exception:
            # The database is away, say. The worker outlives it.
            db.session.rollback()
            _log.exception("the worker can't go on for now")
            idle = True
        if idle:
            stop.wait(_IDLE_SECONDS)


def run_next() -> bool:
    """Do one task. False where none is due."""
    claimed = _claim()
    if claimed is None:
        return False
    task_id, name, owner_id, attempt = claimed
    told = {"taskId": task_id, "task": name, "attempt": attempt}
    try:
        values = {"status": "done", "result": JOBS[name](owner_id), "error": None}
    except Exception as error:
        db.session.rollback()
        _log.exception("a task failed", extra=told)
        values = {"error": f"{type(error).__name__}: {error}"[:1000]} | _next_try(attempt)
    # Only the newest claim counts: somebody whose lease ran out finds another attempt here.
    newest = update(Task).where(Task.id == task_id, Task.attempts == attempt)
    if db.session.execute(newest.values(values)).rowcount == 1:
        db.session.commit()
        _log.info("a task was tried", extra=told | {"status": values.get("status", "waiting")})
    else:
        db.session.rollback()
        _log.warning("a task took longer than its lease", extra=told)
    return True


def _next_try(attempt: int) -> dict[str, object]:
    """Later and later: after 10 s, 40 s, 90 s, 160 s; then never."""
    if attempt >= _MOST_ATTEMPTS:
        return {"status": "failed"}
    return {"due_at": utc_now() + timedelta(seconds=10 * attempt**2)}


def _claim() -> tuple[int, str, int, int] | None:
    """Take the task that has been due for longest. Of several workers one gets it.

    Returns its id, its name, its owner and the number of this attempt.
    """
    columns = select(Task.id, Task.name, Task.owner_id, Task.attempts)
    while True:
        now = utc_now()
        due = columns.where(Task.status == "waiting", Task.due_at <= now)
        found = db.session.execute(due.order_by(Task.due_at, Task.id).limit(1)).first()
        if found is None:
            db.session.rollback()
            return None
        unchanged = update(Task).where(Task.id == found.id, Task.attempts == found.attempts)
        if found.attempts >= _MOST_ATTEMPTS:
            values = {"status": "failed", "error": "The workers that tried it ended first."}
        else:
            values = {"attempts": found.attempts + 1, "due_at": now + _LEASE}
        taken = db.session.execute(unchanged.values(values)).rowcount == 1
        db.session.commit()
        if taken and "attempts" in values:
            return found.id, found.name, found.owner_id, found.attempts + 1
