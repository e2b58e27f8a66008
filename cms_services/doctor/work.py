"""What the doctor looks at of the work that goes on by itself: the worker's, and backups."""

from datetime import datetime, timedelta

from sqlalchemy import func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from cms_services.backup.record import noted
from cms_services.clock import now
from cms_services.doctor.connecting import connected, is_missing
from cms_services.doctor.findings import Level, Seen
from cms_services.mail.models import Letter
from cms_services.settings import Settings
from cms_services.worker.models import JobClaim

_IDLE = timedelta(minutes=10)
_STUCK = timedelta(hours=1)
_BACKUP_AGE, _DRILL_AGE = timedelta(days=2), timedelta(days=60)


def worker(settings: Settings) -> Seen:
    """Whether periodic work is done, and letters leave."""
    if is_missing(settings):
        return
    try:
        with connected(settings) as connection:
            if not inspect(connection).has_table(JobClaim.__tablename__):
                return
            last = connection.scalar(select(func.max(JobClaim.period_start)))
            waiting = connection.scalar(
                select(func.count()).select_from(Letter).where(Letter.created_at < now() - _STUCK)
            )
    except SQLAlchemyError:
        # The check of the database says why.
        return
    if last is None or last < now() - _IDLE:
        since = "ever" if last is None else f"since {last:%Y-%m-%d %H:%M} UTC"
        mend = "Start cms-services worker, or set WORKER_BESIDE_WEB=on."
        yield Level.WARNING, f"no worker has done periodic work {since}", mend
    else:
        yield Level.OK, "periodic work is done", None
    if waiting:
        mend = "Look at SMTP_HOST and at the worker's log."
        yield Level.WARNING, f"{waiting} letters have waited for over an hour", mend


def backups(settings: Settings) -> Seen:
    """When this node made its last backup, and tried whether one can be restored."""
    found = noted(settings)
    for what, longest, mend in (
        ("backup", _BACKUP_AGE, "Run cms-services backup every day (docs/backup.md)."),
        ("drill", _DRILL_AGE, "Run cms-services drill every month (docs/backup.md)."),
    ):
        entry = found.get(what)
        if entry is None:
            yield Level.WARNING, f"no {what} is noted in this data folder", mend
            continue
        at = datetime.fromisoformat(entry["at"])
        seen = f"the last {what} was at {at:%Y-%m-%d %H:%M} UTC"
        is_old = at < now() - longest
        yield (Level.WARNING, seen, mend) if is_old else (Level.OK, seen, None)
        if entry.get("passed") is False:
            yield (
                Level.FAILURE,
                "the last drill did not pass",
                "Look at what cms-services drill says.",
            )
