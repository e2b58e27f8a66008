"""Which of the services that a service depends on are unhealthy."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Table, and_, or_, select

from cms_services.catalogue.models import Service
from cms_services.database import AnyRow
from cms_services.extensions import db
from cms_services.monitoring.health.models import MonitoredService
from cms_services.vocabulary import HealthStatus, Status

_SERVICES: Table = Service.__table__  # type: ignore[assignment]
_MONITORED: Table = MonitoredService.__table__  # type: ignore[assignment]


def unhealthy_dependencies(services: Sequence[AnyRow], present: datetime) -> dict[str, list[str]]:
    """The names of the unhealthy services that each of some services depends on, by its id.

    `dependencies` names a service by its name, serviceId or id, and means one of the same project,
    or where there is no project of the same owner; what names none counts for nothing.
    """
    wanted = {name for each in services for name in _named(each)}
    if not wanted:
        return {}
    asking = [each for each in services if _named(each)]
    projects = {each.project_id for each in asking if each.project_id is not None}
    owners = {each.user_id for each in asking if each.project_id is None}
    service, monitored = _SERVICES.c, _MONITORED.c
    rows = db.session.execute(
        select(service.id, service.service_id, service.name, service.project_id, service.user_id)
        .join(_MONITORED, monitored.service_id == service.id)
        .where(
            or_(
                service.project_id.in_(projects),
                and_(service.project_id.is_(None), service.user_id.in_(owners)),
            ),
            service.status != Status.CANCELLED,
            monitored.status == HealthStatus.UNHEALTHY,
            monitored.known_until > present,
            or_(service.name.in_(wanted), service.service_id.in_(wanted), service.id.in_(wanted)),
        )
        .order_by(service.name)
    ).all()
    found: dict[str, list[str]] = {}
    for each in asking:
        names = set(_named(each))
        unhealthy = [
            row.name
            for row in rows
            if row.id != each.id
            and row.project_id == each.project_id
            and (each.project_id is not None or row.user_id == each.user_id)
            and not names.isdisjoint((row.name, row.service_id, row.id))
        ]
        if unhealthy:
            found[each.id] = unhealthy
    return found


def _named(service: AnyRow) -> list[str]:
    # Imported rows can hold anything.
    listed = service.dependencies if isinstance(service.dependencies, list) else []
    return [name for name in listed if isinstance(name, str)]
