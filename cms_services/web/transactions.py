"""The edge commits: one transaction a request, or a few where a handler probes in between."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.exc import StaleDataError

from cms_services.database import begin_writing
from cms_services.extensions import close_reader, db
from cms_services.wording import worded

# The SQLSTATE of PostgreSQL, and that of MariaDB, which some versions of its driver leave out.
_DEADLOCKS = ("40P01", "40001", 1213)


@contextmanager
def reading() -> Iterator[None]:
    """A transaction that only reads, and ends with the block."""
    try:
        yield
    finally:
        if db.session.registry.has():
            db.session.rollback()
        close_reader()


@contextmanager
def writing() -> Iterator[None]:
    """A transaction that commits at the end of the block, or leaves nothing when it raises."""
    close_reader()
    db.session.rollback()
    begin_writing(db.session())
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise


LOST_RACE = worded("Somebody else changed this at the same moment; try again.")


def is_lost_race(error: Exception) -> bool:
    """Whether somebody else's transaction was quicker, so that ours can be done again."""
    if isinstance(error, OperationalError):
        return is_deadlock(error)
    return isinstance(error, StaleDataError)


def is_deadlock(error: OperationalError) -> bool:
    """Whether the database rolled us back so that another transaction could go on."""
    code = getattr(error.orig, "sqlstate", None) or (error.orig.args or ("",))[0]  # type: ignore[union-attr]
    return code in _DEADLOCKS
