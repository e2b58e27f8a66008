"""Statuses and how a service moves between them."""

from datetime import timedelta

from sqlalchemy import select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.changes import note_change
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.errors import Conflict, Forbidden, InvalidTransition
from cms_services.extensions import db
from cms_services.vocabulary import (
    EVENT_OF_STATUS,
    SUSPENDED_STATUS,
    TRANSITIONS,
    EventType,
    Family,
    Status,
)
from cms_services.wording import term, worded

FAMILY_WORDS = {
    Family.COMPONENT: worded("component"),
    Family.SUBSCRIPTION: worded("subscription"),
}


def suspend(actor: Actor, identifier: str, reason: str | None = None) -> Service:
    """Suspend a subscription, or make a component inactive."""
    service = load_service(actor, identifier, for_change=True)
    return transition(actor, service, SUSPENDED_STATUS[service.family], reason)


def resume(actor: Actor, identifier: str, reason: str | None = None) -> Service:
    """Make a service active again."""
    return transition(
        actor, load_service(actor, identifier, for_change=True), Status.ACTIVE, reason
    )


def cancel(actor: Actor, identifier: str, reason: str | None = None) -> Service:
    """Cancel a service. For the retention time its row stays, and an admin can restore it."""
    service = load_service(actor, identifier, for_change=True)
    return transition(actor, service, Status.CANCELLED, reason)


def transition(actor: Actor, service: Service, to: Status, reason: str | None = None) -> Service:
    """Move a loaded service to a status, with its audit entry and event.

    To the present status nothing happens. Raises InvalidTransition.
    """
    present = Status(service.status)
    if to is present:
        return service
    allowed = TRANSITIONS[service.family][present]
    if to not in allowed:
        raise InvalidTransition(
            worded(
                "A %(family)s that is %(present)s can't become %(to)s.",
                family=FAMILY_WORDS[service.family],
                present=term(present),
                to=term(to),
            ),
            {"from": present, "to": to, "allowed": list(allowed)},
        )
    service.status = to
    service.cancelled_at = now() if to is Status.CANCELLED else None
    _note_status(actor, service, EVENT_OF_STATUS[to], present, reason)
    return service


def require_not_cancelled(service: Service) -> None:
    """Raise Conflict for a cancelled service, which keeps the state it was cancelled in."""
    if service.status == Status.CANCELLED:
        raise Conflict(worded("A cancelled service can't be changed; an admin can restore it."))


def restore(
    actor: Actor, identifier: str, retention: timedelta, reason: str | None = None
) -> Service:
    """Bring a cancelled service back as active; for admins, within the retention time.

    A service that is not cancelled stays as it is. Raises Forbidden, Conflict when it is too late.
    """
    if not actor.is_admin:
        raise Forbidden(worded("Only an admin can restore a cancelled service."))
    service = load_service(actor, identifier, for_change=True)
    if service.status != Status.CANCELLED:
        return service
    if service.cancelled_at is not None and service.cancelled_at + retention <= now():
        raise Conflict(
            worded("The retention time of this service is over; it is about to be purged.")
        )
    service.status, service.cancelled_at = Status.ACTIVE, None
    _note_status(actor, service, EventType.SERVICE_RESTORED, Status.CANCELLED, reason)
    return service


def purge_cancelled(actor: Actor, retention: timedelta, batch: int = 500) -> int:
    """Delete the services whose retention time is over, with all that belongs to them.

    Returns how many went, at most `batch`, so that writers never wait long.
    """
    query = (
        select(Service)
        .where(Service.status == Status.CANCELLED, Service.cancelled_at <= now() - retention)
        .limit(batch)
        .with_for_update(of=Service, skip_locked=True)
    )
    services = db.session.scalars(query).all()
    for service in services:
        note_change(actor, service, EventType.SERVICE_PURGED, {"before": {"name": service.name}})
        db.session.delete(service)
    db.session.flush()
    return len(services)


def _note_status(
    actor: Actor, service: Service, event: EventType, before: Status, reason: str | None
) -> None:
    db.session.flush()
    changes = {"before": {"status": before}, "after": {"status": service.status}}
    note_change(actor, service, event, changes | ({"reason": reason} if reason else {}))
