"""The edge commits: one transaction a request, or a few where a handler probes in between."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.exc import StaleDataError

from cms_services.database import begin_writing
from cms_services.extensions import close_reader, db
from cms_services.wording import worded

log = structlog.get_logger()

# The SQLSTATE of PostgreSQL, and that of MariaDB, which some versions of its driver leave out.
_DEADLOCKS = ("40P01", "40001", 1213)

LOST_RACE = worded("Somebody else changed this at the same moment; try again.")

_ATTEMPTS = 4
Result = TypeVar("Result")


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


def is_lost_race(error: Exception) -> bool:
    """Whether somebody else's transaction was quicker, so that ours can be done again."""
    if isinstance(error, OperationalError):
        return is_deadlock(error)
    return isinstance(error, StaleDataError)


def written(
    change: Callable[[], Result], is_lost: Callable[[Exception], bool] = is_lost_race
) -> Result:
    """What `change` returns, in a transaction of its own that is committed.

    It is made again from its beginning where somebody else's was quicker, which callers could only
    do too, and old frontends don't. So it leaves nothing but rows, and what may be left twice.
    Raises what the last attempt did.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            with writing():
                return change()
        except Exception as error:
            if not is_lost(error):
                raise
            log.info("lost race", kind=type(error).__name__)
    with writing():
        return change()


def is_deadlock(error: OperationalError) -> bool:
    """Whether the database rolled us back so that another transaction could go on."""
    code = getattr(error.orig, "sqlstate", None) or (error.orig.args or ("",))[0]  # type: ignore[union-attr]
    return code in _DEADLOCKS
