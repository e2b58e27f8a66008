"""Taking periodic work, so that of several workers exactly one does it."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import IntegrityError

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.pruning import prune_before
from cms_services.worker.models import JobClaim

_KEPT_FOR = timedelta(days=2)


def claim(job: str, every: timedelta) -> bool:
    """Take a job for the present period, in the caller's transaction. False: it is taken."""
    seconds = int(every.total_seconds())
    start = datetime.fromtimestamp(int(now().timestamp()) // seconds * seconds, tz=UTC)
    if db.session.get(JobClaim, (job, start)) is not None:
        return False
    db.session.add(JobClaim(job=job, period_start=start))
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        return False
    return True


def prune_claims() -> int:
    """Forget claims of long past periods. Returns how many."""
    return prune_before(JobClaim, JobClaim.period_start, now() - _KEPT_FOR)
