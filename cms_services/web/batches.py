"""Storing what senders by foreign protocols send, who know of no conflicts."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import IntegrityError, OperationalError

from cms_services.errors import NotReady
from cms_services.web.transactions import is_lost_race, written
from cms_services.wording import worded

Result = TypeVar("Result")


def stored_by(store: Callable[[], Result]) -> Result:
    """What `store` returns, in a transaction of its own.

    Raises NotReady where others were quicker each time: Prometheus and OpenTelemetry's exporters
    send again what is answered by that, and drop a batch that is answered 409.
    """
    try:
        return written(store, _was_slower)
    except (IntegrityError, OperationalError) as error:
        if not _was_slower(error):
            raise
        raise NotReady(
            worded("Too much was written for this service at the same moment; send it again.")
        ) from error


def _was_slower(error: Exception) -> bool:
    # Another request made the same rows.
    return isinstance(error, IntegrityError) or is_lost_race(error)
