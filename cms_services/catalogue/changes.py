"""What every change of a service leaves behind: its audit entry and its event."""

from typing import Any

from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.catalogue.models import Service
from cms_services.events.outbox import emit
from cms_services.vocabulary import EventType


def note_change(actor: Actor, service: Service, event: EventType, changes: dict[str, Any]) -> None:
    """Save the audit entry and the event in the caller's transaction. `changes` has no secrets."""
    record(actor, event, "service", service.id, service.user_id, changes)
    emit(
        event,
        service.id,
        service.user_id,
        {"id": service.id, "serviceId": service.service_id, "name": service.name}
        | {"type": service.type, "status": service.status},
    )


def note_read(actor: Actor, service: Service, event: EventType, what: dict[str, Any]) -> None:
    """Save the audit entry of a sensitive read."""
    record(actor, event, "service", service.id, service.user_id, what)
