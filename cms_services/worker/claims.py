"""Taking periodic work, so that of several workers exactly one does it."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.pruning import prune_before
from cms_services.worker.models import JobClaim

_KEPT_FOR = timedelta(days=2)


def claim(job: str, every: timedelta) -> datetime | None:
    """Take a job for the present period, in the caller's transaction, and return its beginning.

    None: somebody else has taken it.
    """
    seconds = int(every.total_seconds())
    start = datetime.fromtimestamp(int(now().timestamp()) // seconds * seconds, tz=UTC)
    if db.session.get(JobClaim, (job, start)) is not None:
        return None
    db.session.add(JobClaim(job=job, period_start=start))
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        return None
    return start


def give_up_claim(job: str, period_start: datetime) -> None:
    """Let another take a job whose work failed after the claim was committed."""
    db.session.execute(delete(JobClaim).filter_by(job=job, period_start=period_start))


def prune_claims() -> int:
    """Forget claims of long past periods. Returns how many."""
    return prune_before(JobClaim, JobClaim.period_start, now() - _KEPT_FOR)
