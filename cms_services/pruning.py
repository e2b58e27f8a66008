"""Deleting rows that have outlived their use."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from cms_services.extensions import Model, db

_BATCH = 5000


def prune_before(
    model: type[Model], moment: InstrumentedAttribute[datetime], limit: datetime
) -> int:
    """Delete the oldest rows whose `moment` is before `limit`, a batch at once.

    A batch, so that no writer waits long. Returns how many went.
    """
    last_of_batch = db.session.scalar(
        select(moment).where(moment < limit).order_by(moment).offset(_BATCH - 1).limit(1)
    )
    old = moment < limit if last_of_batch is None else moment <= last_of_batch
    return cast(CursorResult[Any], db.session.execute(delete(model).where(old))).rowcount
