"""Variables that take another service's exported value: `${service.NAME}`.

`service` is an id, a serviceId, or the name of a service of the same project (or, where there is no
project, of the same owner); `NAME` one of the variables that it lists under `exports`. `$${` stands
for the text `${`. What a reference means is kept beside the document, so that another name for that
service changes nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sqlalchemy import select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_row, load_service, readable_among
from cms_services.catalogue.models import Service
from cms_services.configuration.documents import Document
from cms_services.configuration.models import ServiceReference
from cms_services.configuration.secrets import opened
from cms_services.encryption import current_vault
from cms_services.errors import Conflict, DomainError, ServiceConfigError, ValidationFailed
from cms_services.extensions import db
from cms_services.vocabulary import Status
from cms_services.wording import clause, listed, worded

_MOST_REFERENCES = 200
REFERENCE = re.compile(
    r"\$(?P<escaped>\$\{[^${}\n]{1,255}\.[A-Za-z_]\w{0,254}\})"
    r"|\$\{(?P<service>[^${}\n]{1,255})\.(?P<export>[A-Za-z_]\w{0,254})\}",
    re.ASCII,
)


@dataclass(frozen=True)
class Dependent:
    """A variable of another service that takes a value from here."""

    service_id: str
    name: str
    variable: str
    export: str


@dataclass(frozen=True)
class Taken:
    """A value that a service takes: into a variable, from an export of a service as written.

    `name` and `service_id` are None where the caller may not read that service.
    """

    variable: str
    written: str
    export: str
    name: str | None
    service_id: str | None
    is_cancelled: bool


@dataclass(frozen=True)
class _Wanted:
    variable: str
    written: str
    export: str


def exported_names(document: Document) -> set[str]:
    """The variables that other services may take from a document."""
    environment, exports = document.get("environment"), document.get("exports")
    if not isinstance(environment, dict) or not isinstance(exports, list):
        return set()
    return {name for name in exports if isinstance(name, str) and name in environment}


def store_references(actor: Actor, service: Service, document: Document) -> None:
    """Keep what the references of a document mean that is about to become the service's.

    Raises ValidationFailed, by variable, for a service or an export that is not there or not the
    caller's to read, and for a variable that would take its own value.
    """
    before = _stored_references([service.id])
    wanted = _references_of(service, document, before)
    if not wanted and not before:
        return
    targets = _targets(actor, service, document, wanted, before)
    rows = [
        ServiceReference(
            service_id=service.id,
            position=position,
            variable=each.variable,
            written=each.written,
            target_id=targets[each],
            export=each.export,
        )
        for position, each in enumerate(wanted)
    ]
    _refuse_cycles(service.id, rows)
    for reference in before:
        db.session.delete(reference)
    db.session.flush()
    db.session.add_all(rows)


def require_exports_kept(actor: Actor, service: Service, document: Document) -> None:
    """Raise Conflict where a document would take away a value that another service takes.

    `details` names the dependents that the caller may read, and counts the others.
    """
    lost = exported_names(service.config) - exported_names(document)
    if not lost:
        return
    broken = [each for each in _taken_from(service.id) if each.export in lost]
    if not broken:
        return
    shown = _shown(actor, broken)
    others = len(broken) - len(shown)
    told: list[str] = [f"{each.name} ({each.variable})" for each in shown[:5]]
    if others or len(shown) > 5:
        told.append(worded("%(count)s more", count=others + len(shown[5:])))
    raise Conflict(
        worded(
            "Other services take values that would be gone: %(services)s. Change those first, "
            "or change the configuration at its own address with ?allowBreaking=true.",
            services=listed(told),
        ),
        {"exports": sorted(lost), "dependents": [_told(each) for each in shown], "others": others},
    )


def list_dependents(actor: Actor, identifier: str) -> list[Dependent]:
    """The variables of services the caller may read that take a value from this service."""
    service = load_service(actor, identifier)
    return _shown(actor, _taken_from(service.id))


def list_taken(actor: Actor, service: Service) -> list[Taken]:
    """The values that a loaded service takes from other services, in the order of its variables."""
    reference = ServiceReference
    query = (
        select(
            reference.variable, reference.written, reference.export,
            Service.id, Service.name, Service.status,
        )
        .join(Service, Service.id == reference.target_id)
        .where(reference.service_id == service.id, reference.target_id != service.id)
        .order_by(reference.position)
    )  # fmt: skip
    rows = db.session.execute(query).all()
    numbers = readable_among(actor, {row.id for row in rows})
    return [
        Taken(
            row.variable,
            row.written,
            row.export,
            row.name if row.id in numbers else None,
            numbers.get(row.id),
            row.status == Status.CANCELLED,
        )
        for row in rows
    ]


def _told(dependent: Dependent) -> dict[str, str]:
    return {
        "serviceId": dependent.service_id,
        "name": dependent.name,
        "variable": dependent.variable,
        "export": dependent.export,
    }


def _references_of(
    service: Service, document: Document, before: list[ServiceReference]
) -> list[_Wanted]:
    """What a document's variables refer to, in their order."""
    environment = document.get("environment")
    if not isinstance(environment, dict):
        return []
    present = service.config.get("environment") if isinstance(service.config, dict) else None
    present = present if isinstance(present, dict) else {}
    found: dict[_Wanted, None] = {}
    for name, value in environment.items():
        if isinstance(value, dict) and value == present.get(name):
            # A secret that stays as it is need not be opened: its key may be gone.
            kept = [each for each in before if each.variable == name]
            found |= {_Wanted(name, each.written, each.export): None for each in kept}
        else:
            found |= {_Wanted(name, *each): None for each in _named_in(service, name, value)}
    return list(found)


def _named_in(service: Service, variable: str, value: Any) -> list[tuple[str, str]]:
    """The services and exports that a variable's stored value names."""
    if isinstance(value, dict):
        stored = {"environment": {variable: value}}
        try:
            value = opened(stored, service.id, current_vault())["environment"][variable]
        except ServiceConfigError:
            # Of an earlier version; nobody can tell what it says, or take a value by it.
            return []
    if not isinstance(value, str):
        return []
    return [
        (match["service"], match["export"])
        for match in REFERENCE.finditer(value)
        if match["service"] is not None
    ]


def _stored_references(service_ids: Iterable[str]) -> list[ServiceReference]:
    query = select(ServiceReference).where(ServiceReference.service_id.in_(list(service_ids)))
    return list(db.session.scalars(query.order_by(ServiceReference.position)))


def _targets(
    actor: Actor,
    service: Service,
    document: Document,
    wanted: list[_Wanted],
    before: list[ServiceReference],
) -> dict[_Wanted, str]:
    """The id of the service that each reference means, which may be the service itself."""
    if len(wanted) > _MOST_REFERENCES:
        problem = worded(
            "A configuration takes at most %(most)s values from other services.",
            most=_MOST_REFERENCES,
        )
        raise ValidationFailed({"environment": [problem]})
    # What was settled before is not judged again, so that other changes stay possible whatever
    # has become of it.
    kept = {_Wanted(each.variable, each.written, each.export): each.target_id for each in before}
    fresh = [each for each in wanted if each not in kept]
    problems: dict[str, list[str]] = {}
    found = _found(actor, service, fresh, problems)
    _lock(found.values())
    for each in fresh:
        target = found.get(each.written)
        if target is None:
            continue
        exporting = document if target.id == service.id else target.config
        if each.export not in exported_names(exporting):
            problem = worded(
                "%(written)s does not list %(export)s under its exports.",
                written=each.written,
                export=each.export,
            )
            problems.setdefault(f"environment.{each.variable}", []).append(problem)
    if problems:
        raise ValidationFailed(problems)
    return kept | {each: found[each.written].id for each in fresh}


def _found(
    actor: Actor, service: Service, wanted: list[_Wanted], problems: dict[str, list[str]]
) -> dict[str, Service]:
    """The services by the names that they are written by; what is wrong is put into `problems`."""
    found: dict[str, Service] = {}
    refused: dict[str, str] = {}
    for each in wanted:
        if each.written not in found and each.written not in refused:
            try:
                found[each.written] = _target(actor, service, each.written)
            except DomainError as error:
                refused[each.written] = error.message
        if each.written in refused:
            place = f"environment.{each.variable}"
            problems.setdefault(place, []).append(refused[each.written])
    return found


def _lock(targets: Iterable[Service]) -> None:
    """Lock services and read them anew, so that nobody takes away what is then looked at."""
    ids = sorted({each.id for each in targets})
    query = select(Service).where(Service.id.in_(ids)).order_by(Service.id)
    locked = query.with_for_update(of=Service).execution_options(populate_existing=True)
    db.session.scalars(locked).all()


def _target(actor: Actor, service: Service, written: str) -> Service:
    named = select(Service).where(Service.name == written, Service.status != Status.CANCELLED)
    if service.project_id is not None:
        named = named.where(Service.project_id == service.project_id)
    else:
        named = named.where(Service.project_id.is_(None), Service.user_id == service.user_id)
    siblings = db.session.scalars(named.limit(2)).all()
    if len(siblings) > 1:
        message = worded(
            "Several services are called %(written)s; name one by its serviceId.", written=written
        )
        raise ValidationFailed({}, message)
    try:
        return load_row(actor, siblings[0].id) if siblings else load_service(actor, written)
    except DomainError as error:
        message = worded(
            "%(problem)s; write $${ where the text itself is meant.", problem=clause(error.message)
        )
        raise ValidationFailed({}, message) from error


def _refuse_cycles(service_id: str, rows: list[ServiceReference]) -> None:
    """Raise ValidationFailed where a variable would take, by way of others, its own value."""
    graph: dict[tuple[str, str], set[tuple[str, str]]] = {}
    edges, known = rows, {service_id}
    while edges:
        for each in edges:
            taken = (each.target_id, each.export)
            graph.setdefault((each.service_id, each.variable), set()).add(taken)
        following = {each.target_id for each in edges} - known
        known |= following
        edges = _stored_references(following) if following else []
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        own = sorted({variable for owner, variable in error.args[1] if owner == service_id})
        problem = [worded("Takes its own value, by way of what it refers to.")]
        raise ValidationFailed({f"environment.{name}": problem for name in own}) from error


def _taken_from(service_id: str) -> list[Dependent]:
    """All that takes a value from a service, but for itself; `service_id` are the rows' ids."""
    query = (
        select(Service.id, Service.name, ServiceReference.variable, ServiceReference.export)
        .join(Service, Service.id == ServiceReference.service_id)
        .where(ServiceReference.target_id == service_id, Service.id != service_id)
        .order_by(Service.name, Service.id, ServiceReference.position)
    )
    return [Dependent(*row) for row in db.session.execute(query)]


def _shown(actor: Actor, dependents: list[Dependent]) -> list[Dependent]:
    """Those of the services that the caller may read, by their public numbers."""
    numbers = readable_among(actor, {each.service_id for each in dependents})
    return [
        replace(each, service_id=numbers[each.service_id])
        for each in dependents
        if each.service_id in numbers
    ]
