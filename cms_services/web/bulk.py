"""The same change of many services: a transaction each, so that a refusal undoes no other."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.exc import StaleDataError

from cms_services.actor import Actor
from cms_services.catalogue.bulk import BulkChange
from cms_services.errors import Conflict, DomainError
from cms_services.web.transactions import LOST_RACE, is_lost_race, written


@dataclass(frozen=True)
class BulkResult:
    """What came of one service, named as the caller named it."""

    service_id: str
    # Of the service that was changed.
    name: str | None = None
    status: str | None = None
    tags: list[str] | None = None
    error: DomainError | None = None

    @property
    def ok(self) -> bool:
        return self.error is None


def change_each(actor: Actor, change: BulkChange, identifiers: Iterable[str]) -> list[BulkResult]:
    """Make a change of each service, in their order and of each once.

    Where the database goes away, what was done by then stays; it can all be sent again.
    """
    return [_changed(actor, change, each) for each in dict.fromkeys(identifiers)]


def _changed(actor: Actor, change: BulkChange, identifier: str) -> BulkResult:
    def make() -> BulkResult:
        service = change.make(actor, identifier)
        return BulkResult(identifier, service.name, service.status, service.tags)

    try:
        return written(make)
    except DomainError as error:
        return BulkResult(identifier, error=error)
    except (StaleDataError, OperationalError) as error:
        if not is_lost_race(error):
            raise
        return BulkResult(identifier, error=Conflict(LOST_RACE))
