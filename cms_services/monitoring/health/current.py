"""The health of many services as it is known now: for lists, in one statement."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Table, and_, bindparam, case, func, literal_column, select

from cms_services.catalogue.listing import Narrowing
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.extensions import reader
from cms_services.monitoring.health.models import HealthReport, MonitoredService
from cms_services.vocabulary import HealthStatus

_SERVICES: Table = Service.__table__  # type: ignore[assignment]
_MONITORED: Table = MonitoredService.__table__  # type: ignore[assignment]
_REPORTS: Table = HealthReport.__table__  # type: ignore[assignment]


def _word(status: HealthStatus) -> ColumnElement[str]:
    return literal_column(f"'{status}'")


# Of services that no worker has checked, the newest report that was kept says what is known.
_REPORTED = (
    select(_REPORTS.c.status)
    .where(_REPORTS.c.service_id == _SERVICES.c.id)
    .order_by(_REPORTS.c.checked_at.desc(), _REPORTS.c.id.desc())
    .limit(1)
    .correlate(_SERVICES)
    .scalar_subquery()
)
_IS_KNOWN = and_(
    _MONITORED.c.status.in_(
        [_word(each) for each in HealthStatus if each is not HealthStatus.UNKNOWN]
    ),
    _MONITORED.c.known_until > bindparam("present"),
)
_CHECKED = (
    select(case((_IS_KNOWN, _MONITORED.c.status), else_=_word(HealthStatus.UNKNOWN)))
    .where(_MONITORED.c.service_id == _SERVICES.c.id, _MONITORED.c.checked_at.is_not(None))
    .correlate(_SERVICES)
    .scalar_subquery()
)
_HEALTH = func.coalesce(_CHECKED, _REPORTED, _word(HealthStatus.UNKNOWN))
_HEALTH_OF = select(_SERVICES.c.id, _HEALTH.label("health")).where(
    _SERVICES.c.id.in_(bindparam("ids", expanding=True))
)
_HAS_HEALTH = bindparam("health") == _HEALTH


def health_of(service_ids: Collection[str]) -> dict[str, HealthStatus]:
    """The health of services by their row ids; unknown where it is out of date too."""
    if not service_ids:
        return {}
    rows = reader().execute(_HEALTH_OF, {"ids": list(service_ids), "present": now()})
    return {row.id: HealthStatus(row.health) for row in rows}


def having_health(status: HealthStatus | str) -> Narrowing:
    """What narrows a list to the services of which health_of() says this."""
    return Narrowing(_HAS_HEALTH, {"health": str(status), "present": now()})
