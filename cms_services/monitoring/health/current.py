"""What the health of a service is now: the one definition, for pages, lists and reports alike.

It is what the checks of a service that is active or in maintenance say, thresholds considered, as
long as their last results hold. Else it is unknown: never checked, out of date, or not running.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, case, func, literal_column, select

from cms_services.catalogue.listing import Narrowing
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.extensions import reader
from cms_services.monitoring.health.models import MonitoredService
from cms_services.vocabulary import CHECKED_STATUSES, HealthStatus

_SERVICES: Table = Service.__table__  # type: ignore[assignment]
_MONITORED: Table = MonitoredService.__table__  # type: ignore[assignment]


def _word(word: str) -> ColumnElement[str]:
    return literal_column(f"'{word}'")


_UNKNOWN = _word(HealthStatus.UNKNOWN)
# Of services with their rows of monitored_services, where there is one. It takes health_at().
HEALTH_NOW: ColumnElement[str] = case(
    (
        and_(
            _SERVICES.c.status.in_([_word(each) for each in CHECKED_STATUSES]),
            _MONITORED.c.health_until > bindparam("present"),
        ),
        _MONITORED.c.health,
    ),
    else_=_UNKNOWN,
)
_OF_SERVICE = (
    select(HEALTH_NOW)
    .where(_MONITORED.c.service_id == _SERVICES.c.id)
    .correlate(_SERVICES)
    .scalar_subquery()
)
_HEALTH = func.coalesce(_OF_SERVICE, _UNKNOWN)
_HEALTH_OF = select(_SERVICES.c.id, _HEALTH.label("health")).where(
    _SERVICES.c.id.in_(bindparam("ids", expanding=True))
)
_HAS_HEALTH = bindparam("health") == _HEALTH


def health_at(present: datetime) -> dict[str, Any]:
    """The parameters that a statement with HEALTH_NOW takes."""
    return {"present": present}


def health_of(service_ids: Collection[str]) -> dict[str, HealthStatus]:
    """The health of services by their row ids."""
    if not service_ids:
        return {}
    rows = reader().execute(_HEALTH_OF, {"ids": list(service_ids)} | health_at(now()))
    return {row.id: HealthStatus(row.health) for row in rows}


def having_health(status: HealthStatus | str) -> Narrowing:
    """What narrows a list to the services of which health_of() says this."""
    return Narrowing(_HAS_HEALTH, {"health": str(status)} | health_at(now()))
