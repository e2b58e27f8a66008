"""Calls of services that have no port to be called at."""

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.lifecycle import require_not_cancelled
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.errors import NotFound
from cms_services.extensions import db
from cms_services.monitoring.health.models import Heartbeat
from cms_services.monitoring.health.schedule import make_due
from cms_services.monitoring.health.synchronising import synchronise_services
from cms_services.monitoring.probes.declared import declared_checks
from cms_services.upserts import replace
from cms_services.wording import worded

_TYPE = "heartbeat"


def take_heartbeat(
    actor: Actor,
    identifier: str,
    check: str,
    *,
    failed: bool = False,
    message: str = "",
    duration_ms: float | None = None,
) -> Heartbeat:
    """Note that a service called, and let the check be looked at soon.

    Raises NotFound for a check that the service does not declare, with those that it does.
    """
    service = load_service(actor, identifier, for_change=True, lock=False)
    require_not_cancelled(service)
    names = heartbeat_checks(service)
    if check not in names:
        known = ", ".join(names) or worded("none")
        raise NotFound(
            worded(
                "This service declares no heartbeat check of that name; it has: %(known)s.",
                known=known,
            ),
            {"checks": names},
        )
    at = now()
    row = {
        "service_id": service.id,
        "check_name": check,
        "at": at,
        "failed": failed,
        "message": message,
        "duration_ms": duration_ms,
    }
    replace(db.session.connection(), Heartbeat.__table__, [row])  # type: ignore[arg-type]
    # Of a service that is new, or declares the check since a moment ago, no worker knows it yet.
    synchronise_services([service.id], at, chance=lambda: 0.0)
    make_due(service.id, at)
    return Heartbeat(
        service_id=service.service_id,
        check=check,
        at=at,
        failed=failed,
        message=message,
        duration_ms=duration_ms,
    )


def heartbeat_checks(service: Service) -> list[str]:
    """The names of the heartbeat checks that a service declares."""
    config = service.config if isinstance(service.config, dict) else {}
    return [each.name for each in declared_checks(config) if each.type == _TYPE]
