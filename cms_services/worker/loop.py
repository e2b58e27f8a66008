"""The background worker: looks for due work until it is told to stop."""

import os
import signal
import time

import structlog
from flask import Flask

from cms_services.database import begin_writing
from cms_services.extensions import db
from cms_services.settings import current_settings
from cms_services.worker.claims import claim
from cms_services.worker.jobs import JOBS, Job
from cms_services.worker.letters import send_due_letters

log = structlog.get_logger()

_PAUSE_SECONDS = 5.0
_LOOK_SECONDS = 0.2


def work_until_stopped(app: Flask, beside: int | None = None) -> None:
    """Run due jobs until SIGTERM or SIGINT, or until `beside` is not our parent any more."""
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    def goes_on() -> bool:
        return not stopped and beside in (None, os.getppid())

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    log.info("worker started")
    while goes_on():
        with app.app_context():
            run_due_jobs()
        due = time.monotonic() + _PAUSE_SECONDS
        while goes_on() and time.monotonic() < due:
            time.sleep(_LOOK_SECONDS)
    log.info("worker stopped")


def run_due_jobs() -> None:
    """Run each job that nobody has taken for its present period. A failing job stops no other."""
    for job in JOBS:
        try:
            _run_if_due(job)
        except Exception:
            log.exception("job failed", job=job.name)
            # Its connection may be broken too, and then could not even roll back.
            db.session().invalidate()
    try:
        send_due_letters(current_settings())
    except Exception:
        log.exception("letters could not be sent")
        db.session().invalidate()


def _run_if_due(job: Job) -> None:
    """Claim and work are one transaction: work that fails can be taken again."""
    db.session.rollback()
    begin_writing(db.session())
    if not claim(job.name, job.every):
        db.session.rollback()
        return
    count = job.run(current_settings())
    db.session.commit()
    if count:
        log.info("job done", job=job.name, items=count)
