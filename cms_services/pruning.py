"""Deleting rows that have outlived their use."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from cms_services.database import begin_writing
from cms_services.extensions import Model, db

_BATCH = 5000
_SMALL_BATCH = 1000
# Writers come in between.
_PAUSE_SECONDS = 0.02
# Jobs that prune begin anew each minute.
LONGEST_RUN_SECONDS = 50.0


def prune_before(
    model: type[Model], moment: InstrumentedAttribute[datetime], limit: datetime
) -> int:
    """Delete the oldest rows whose `moment` is before `limit`, a batch at once.

    A batch, so that no writer waits long. Returns how many went.
    """
    return _prune_oldest(model, moment, limit, _BATCH)


def _prune_oldest(
    model: type[Model], moment: InstrumentedAttribute[datetime], limit: datetime, size: int
) -> int:
    """About `size` of them: those of one moment go together."""
    last_of_batch = db.session.scalar(
        select(moment).where(moment < limit).order_by(moment).offset(size - 1).limit(1)
    )
    old = moment < limit if last_of_batch is None else moment <= last_of_batch
    return cast(CursorResult[Any], db.session.execute(delete(model).where(old))).rowcount


def in_batches(delete_some: Callable[[int], int]) -> int:
    """Call what deletes about so many rows until it finds none, each time in a transaction.

    The batches are small and commit by themselves, so that this keeps up with much that is written
    and blocks none who write it. Ends after less than a minute; what is left is for the next time.
    Returns how many went.
    """
    ends = time.monotonic() + LONGEST_RUN_SECONDS
    gone = 0
    while time.monotonic() < ends:
        db.session.rollback()
        begin_writing(db.session())
        count = delete_some(_SMALL_BATCH)
        db.session.commit()
        gone += count
        if count == 0:
            break
        time.sleep(_PAUSE_SECONDS)
    return gone


def prune_in_batches(
    model: type[Model], moment: InstrumentedAttribute[datetime], limit: datetime
) -> int:
    """Delete all rows whose `moment` is before `limit`, as in_batches() does. Returns how many."""
    return in_batches(lambda size: _prune_oldest(model, moment, limit, size))
