"""Storing what senders by foreign protocols send, who know of no conflicts."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import IntegrityError, OperationalError

from cms_services.errors import NotReady
from cms_services.web.transactions import is_deadlock, writing
from cms_services.wording import worded

_ATTEMPTS = 3
Result = TypeVar("Result")


def stored_by(store: Callable[[], Result]) -> Result:
    """What `store` returns, in a transaction of its own.

    It is tried again where another request was quicker: Prometheus and OpenTelemetry's exporters
    drop a batch that is answered 409. Raises NotReady, which they send again, after three of those.
    """
    for _ in range(_ATTEMPTS):
        try:
            with writing():
                return store()
        except IntegrityError:
            continue
        except OperationalError as error:
            if not is_deadlock(error):
                raise
    raise NotReady(
        worded("Too much was written for this service at the same moment; send it again.")
    )
