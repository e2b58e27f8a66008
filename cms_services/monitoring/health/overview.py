"""How all services stand that somebody may read: what a wall shows, the worst first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Table, select

from cms_services.actor import Actor
from cms_services.catalogue.access import READABLE
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.database import AnyRow
from cms_services.extensions import reader
from cms_services.monitoring.health.current import HEALTH_NOW, health_at
from cms_services.monitoring.health.models import MonitoredService
from cms_services.monitoring.health.periods import MAINTENANCE
from cms_services.monitoring.health.states import ServiceState
from cms_services.projects.models import Project
from cms_services.vocabulary import HealthStatus, Status

_SERVICES: Table = Service.__table__  # type: ignore[assignment]
_PROJECTS: Table = Project.__table__  # type: ignore[assignment]
_MONITORED: Table = MonitoredService.__table__  # type: ignore[assignment]

# All there are, the worst first.
STATES = (
    HealthStatus.UNHEALTHY,
    HealthStatus.DEGRADED,
    HealthStatus.UNKNOWN,
    MAINTENANCE,
    HealthStatus.HEALTHY,
)
_RANK = {state: rank for rank, state in enumerate(STATES)}
# Causes are read for so many of the worst; nobody takes in more at a time.
_MOST_CAUSES = 200


class Silence(StrEnum):
    """Why nothing is known of a service."""

    NOT_RUNNING = "not running"
    NEVER_CHECKED = "never checked"
    OUT_OF_DATE = "out of date"


@dataclass(frozen=True)
class ServiceStanding:
    """A service, what state it is in, and since when."""

    id: str
    service_id: str
    name: str
    type: str
    status: str
    project: str | None
    state: str
    since: datetime | None
    # Why nothing is known, where that is so; else what its worst check found, if anything.
    silence: Silence | None = None
    cause: str = ""


def overview(actor: Actor, project: str | None = None) -> list[ServiceStanding]:
    """The services that the caller may read, of a project by its name or all; the worst first.

    Those that are longest in a state come first in it, so that the others keep their places.
    Cancelled ones don't count. Takes two statements however many there are.
    """
    present = now()
    found = [_standing(row, present) for row in _rows(actor, project, present)]
    found.sort(key=lambda each: (*_order(each, present), each.name, each.id))
    worst = [
        each.id
        for each in found[:_MOST_CAUSES]
        if each.state in (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED)
    ]
    causes = _causes(worst)
    return [replace(each, cause=causes[each.id]) if each.id in causes else each for each in found]


def states_of(actor: Actor) -> dict[str, str]:
    """The state of each service that overview() would show, by its row id, in one statement."""
    present = now()
    return {row.id: state_of(row, present) for row in _rows(actor, None, present)}


def state_of(row: AnyRow, present: datetime) -> str:
    """The state of a service by its status and updated_at, its health, and, as `state`, the
    schedule's status, of which the row has since, known_until and checked_at too.
    """
    return _state(row, present)[0]


def _rows(actor: Actor, project: str | None, present: datetime) -> Sequence[AnyRow]:
    service, monitored = _SERVICES.c, _MONITORED.c
    query = (
        select(
            service.id, service.service_id, service.name, service.type, service.status,
            service.updated_at, _PROJECTS.c.name.label("project_name"),
            monitored.status.label("state"), monitored.since, monitored.known_until,
            monitored.checked_at, HEALTH_NOW.label("health"),
        )
        .outerjoin(_PROJECTS, _PROJECTS.c.id == service.project_id)
        .outerjoin(_MONITORED, monitored.service_id == service.id)
        .where(service.status != Status.CANCELLED)
    )  # fmt: skip
    if project is not None:
        query = query.where(_PROJECTS.c.name == project)
    if actor.is_admin:
        return reader().execute(query, health_at(present)).all()
    readable = {"readable": actor.own_id} | health_at(present)
    return reader().execute(query.where(READABLE), readable).all()


def _standing(row: AnyRow, present: datetime) -> ServiceStanding:
    state, since, silence = _state(row, present)
    return ServiceStanding(
        row.id,
        row.service_id,
        row.name,
        row.type,
        row.status,
        row.project_name,
        state,
        since,
        silence,
    )


def _state(row: AnyRow, present: datetime) -> tuple[str, datetime | None, Silence | None]:
    if row.status == Status.MAINTENANCE:
        # The workers may not have heard of it yet.
        return MAINTENANCE, row.since if row.state == MAINTENANCE else row.updated_at, None
    if row.status != Status.ACTIVE:
        return HealthStatus.UNKNOWN, row.updated_at, Silence.NOT_RUNNING
    if row.checked_at is None:
        return HealthStatus.UNKNOWN, None, Silence.NEVER_CHECKED
    if row.health == HealthStatus.UNKNOWN:
        is_over = row.since is not None and row.known_until is not None
        silence = Silence.OUT_OF_DATE if is_over and row.known_until <= present else None
        return HealthStatus.UNKNOWN, row.known_until, silence
    # Just after a maintenance its checks say what they said in it.
    is_told = row.state != MAINTENANCE and row.since is not None
    return row.health, row.since if is_told else row.known_until or row.updated_at, None


def _order(standing: ServiceStanding, present: datetime) -> tuple[int, bool, datetime]:
    # Of those of which nothing is known, the ones that somebody stopped are no worry.
    stopped = standing.silence is Silence.NOT_RUNNING
    return _RANK[standing.state], stopped, standing.since or present


def _causes(ids: Sequence[str]) -> dict[str, str]:
    """What the worst check of some services found last, by their ids."""
    if not ids:
        return {}
    query = select(_MONITORED.c.service_id, _MONITORED.c.states).where(
        _MONITORED.c.service_id.in_(ids)
    )
    return {
        row.service_id: _cause(ServiceState.from_document(row.states))
        for row in reader().execute(query)
    }


def _cause(state: ServiceState) -> str:
    for name, check in state.checks.items():
        if check.status is state.status and check.last is not None:
            return f"{name}: {check.last['message']}"
    return ", ".join(state.dependencies)
