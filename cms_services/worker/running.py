"""Running a job, or all that are due, as the only one who does."""

import structlog

from cms_services.database import begin_writing
from cms_services.extensions import db
from cms_services.settings import Settings, current_settings
from cms_services.worker.claims import claim, give_up_claim
from cms_services.worker.jobs import JOBS, Job

log = structlog.get_logger()


def run_due_jobs() -> None:
    """Run each job that nobody has taken for its present period."""
    for job in JOBS:
        run_if_due(job)


def run_if_due(job: Job) -> bool:
    """Run a job that nobody has taken for its present period.

    Returns whether nothing is left to do in it; False where the job failed, which is logged.
    """
    try:
        count = _run(job, current_settings())
    except Exception:
        log.exception("job failed", job=job.name)
        # Its connection may be broken too, and then could not even roll back.
        db.session().invalidate()
        return False
    finally:
        db.session.remove()
    if count:
        log.info("job done", job=job.name, items=count)
    return True


def _run(job: Job, settings: Settings) -> int:
    if job.shared:
        return job.run(settings)
    begin_writing(db.session())
    period = claim(job.name, job.every)
    if period is None:
        db.session.rollback()
        return 0
    if not job.own_transactions:
        count = job.run(settings)
        db.session.commit()
        return count
    db.session.commit()
    try:
        return job.run(settings)
    except Exception:
        db.session.rollback()
        begin_writing(db.session())
        give_up_claim(job.name, period)
        db.session.commit()
        raise
