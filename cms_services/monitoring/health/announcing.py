"""Telling that a service's health changed."""

from datetime import datetime

from cms_services.clock import to_wire
from cms_services.database import AnyRow
from cms_services.events.outbox import emit
from cms_services.vocabulary import EventType, HealthStatus


def announce(
    service: AnyRow,
    before: HealthStatus,
    after: HealthStatus,
    at: datetime,
    cause: str,
    check: str | None = None,
) -> None:
    """Add the event to the caller's transaction. `check` is the name of the one that decided.

    Of the service's row its id, user_id, service_id and name are needed.
    """
    emit(
        EventType.SERVICE_HEALTH_CHANGED,
        service.id,
        service.user_id,
        {
            "id": service.id,
            "serviceId": service.service_id,
            "name": service.name,
            "from": before,
            "to": after,
            "check": check,
            "cause": cause,
            "at": to_wire(at),
        },
    )
