"""Which services depend on which: what they name under `dependencies`, and what they take from.

It stands above the catalogue, since references between configurations are a half of it.
"""

import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, Text, cast, or_, select

from cms_services.actor import Actor
from cms_services.catalogue.access import READABLE
from cms_services.catalogue.models import Service
from cms_services.configuration.models import ServiceReference
from cms_services.database import AnyRow
from cms_services.extensions import reader
from cms_services.projects.models import Project
from cms_services.vocabulary import Status

_SERVICES: Table = Service.__table__  # type: ignore[assignment]
_PROJECTS: Table = Project.__table__  # type: ignore[assignment]
_REFERENCES: Table = ServiceReference.__table__  # type: ignore[assignment]


@dataclass(frozen=True)
class Node:
    """A service that is not cancelled, and that the caller may read."""

    id: str
    service_id: str
    name: str
    type: str
    status: str
    project: str | None
    # Names under its `dependencies` by which no service is known.
    missing: Sequence[str] = ()
    # How many services that the caller may not read take values from it.
    hidden_dependants: int = 0


@dataclass(frozen=True)
class Edge:
    """One service needs another: both by their row ids."""

    dependant: str
    needed: str
    # Whether the dependant names it under its `dependencies`.
    is_declared: bool
    # The variables by which the dependant takes its values.
    variables: Sequence[str] = ()


@dataclass(frozen=True)
class Graph:
    nodes: Mapping[str, Node]
    edges: Sequence[Edge]
    # The nearest of each node, by row ids: what it needs, and what needs it.
    needed_by: Mapping[str, Sequence[str]]
    dependants: Mapping[str, Sequence[str]]


def graph_of(actor: Actor, project: str | None = None) -> Graph:
    """The services that the caller may read, and what connects them, in two statements.

    With the name of a project its services, all that they need, and all that needs them, wherever
    that is. `dependencies` names a service by its name, serviceId or id, and means one of the same
    project, or where there is no project of the same owner, as it does for health.
    """
    services = _services(actor)
    whole = _connected(actor, services)
    if project is None:
        return whole
    own = [each.id for each in services if each.project_name == project]
    shown = {*own, *_reached(own, whole.dependants), *_reached(own, whole.needed_by)}
    return _graph(
        {id: node for id, node in whole.nodes.items() if id in shown},
        [each for each in whole.edges if each.dependant in shown and each.needed in shown],
    )


def graph_near(actor: Actor, service: Service) -> Graph:
    """The same of a loaded service and those next to it alone, without reading all others.

    What the others need besides, and what needs them, is not in it.
    """
    column, reference = _SERVICES.c, _REFERENCES.c
    listed = _listed(service)
    mentions = [
        cast(column.dependencies, Text).contains(text, autoescape=True)
        for name in (service.name, service.service_id, service.id)
        for text in _written_in_json(name)
    ]
    if service.project_id is not None:
        place = column.project_id == service.project_id
    else:
        place = column.project_id.is_(None) & (column.user_id == service.user_id)
    is_named = or_(*(each.in_(listed) for each in (column.name, column.service_id, column.id)))
    takers = select(reference.service_id).where(reference.target_id == service.id)
    givers = select(reference.target_id).where(reference.service_id == service.id)
    services = _services(
        actor,
        or_(
            column.id == service.id,
            place & or_(is_named, *mentions),
            column.id.in_(takers),
            column.id.in_(givers),
        ),
    )
    touches = or_(reference.service_id == service.id, reference.target_id == service.id)
    return _connected(actor, services, touches)


def _connected(
    actor: Actor, services: Sequence[AnyRow], which: ColumnElement[bool] | None = None
) -> Graph:
    """The graph of some services; `which` narrows the references that are read for it."""
    targets, missing = _declared(services)
    variables, hidden = _references(actor, {each.id for each in services}, which)
    pairs = sorted(targets | set(variables))
    nodes = {
        each.id: Node(
            each.id,
            each.service_id,
            each.name,
            each.type,
            each.status,
            each.project_name,
            missing.get(each.id, ()),
            hidden.get(each.id, 0),
        )
        for each in services
    }
    edges = [Edge(*pair, pair in targets, variables.get(pair, ())) for pair in pairs]
    return _graph(nodes, edges)


def dependants_of(graph: Graph, id: str) -> list[Node]:
    """All that would miss the service with a row id, by way of others too; the nearest first."""
    return [graph.nodes[each] for each in _reached([id], graph.dependants)]


def needs_of(graph: Graph, id: str) -> list[Node]:
    """All that the service with a row id needs, by way of others too; the nearest first."""
    return [graph.nodes[each] for each in _reached([id], graph.needed_by)]


def _graph(nodes: Mapping[str, Node], edges: Sequence[Edge]) -> Graph:
    needed_by: dict[str, list[str]] = defaultdict(list)
    dependants: dict[str, list[str]] = defaultdict(list)
    for each in edges:
        needed_by[each.dependant].append(each.needed)
        dependants[each.needed].append(each.dependant)
    for neighbours in (*needed_by.values(), *dependants.values()):
        neighbours.sort(key=lambda id: (nodes[id].name, id))
    return Graph(nodes, edges, needed_by, dependants)


def _reached(start: Sequence[str], neighbours: Mapping[str, Sequence[str]]) -> list[str]:
    """What can be come to from some nodes, but for these, in the order of the distance."""
    found: dict[str, None] = {}
    known, ahead = set(start), deque(start)
    while ahead:
        for each in neighbours.get(ahead.popleft(), ()):
            if each not in known:
                known.add(each)
                found[each] = None
                ahead.append(each)
    return list(found)


def _services(actor: Actor, which: ColumnElement[bool] | None = None) -> Sequence[AnyRow]:
    service = _SERVICES.c
    query = (
        select(
            service.id, service.service_id, service.name, service.type, service.status,
            service.project_id, service.user_id, service.dependencies,
            _PROJECTS.c.name.label("project_name"),
        )
        .outerjoin(_PROJECTS, _PROJECTS.c.id == service.project_id)
        .where(service.status != Status.CANCELLED)
        .order_by(service.name, service.id)
    )  # fmt: skip
    if which is not None:
        query = query.where(which)
    if actor.is_admin:
        return reader().execute(query).all()
    return reader().execute(query.where(READABLE), {"readable": actor.own_id}).all()


def _declared(services: Sequence[AnyRow]) -> tuple[set[tuple[str, str]], dict[str, list[str]]]:
    """Pairs of dependant and needed, and the names that mean none, by the dependant."""
    known: dict[tuple[str, str | None, str], set[str]] = defaultdict(set)
    for each in services:
        for name in {each.name, each.service_id, each.id}:
            known[*_surroundings(each), name].add(each.id)
    pairs: set[tuple[str, str]] = set()
    missing: dict[str, list[str]] = {}
    for each in services:
        for name in _listed(each):
            meant = known.get((*_surroundings(each), name))
            if meant is None:
                missing.setdefault(each.id, []).append(name)
            else:
                pairs |= {(each.id, other) for other in meant if other != each.id}
    return pairs, missing


def _listed(service: "AnyRow | Service") -> list[str]:
    """What a service names under its `dependencies`, each once."""
    # Imported rows can hold anything.
    listed = service.dependencies if isinstance(service.dependencies, list) else []
    return list(dict.fromkeys(name for name in listed if isinstance(name, str)))


def _written_in_json(name: str) -> set[str]:
    """The ways in which stored documents have a text: ours, and those of PHP for imported ones."""
    escaped = json.dumps(name)
    return {json.dumps(name, ensure_ascii=False), escaped, escaped.replace("/", "\\/")}


def _surroundings(service: AnyRow) -> tuple[str, str | None]:
    """Where a name means a service: in the project, or among those of the owner."""
    if service.project_id is not None:
        return "project", service.project_id
    return "owner", service.user_id


def _references(
    actor: Actor, shown: set[str], which: ColumnElement[bool] | None
) -> tuple[dict[tuple[str, str], list[str]], dict[str, int]]:
    """The variables of each pair of dependant and needed, and how many dependants are hidden."""
    dependant = _SERVICES.alias("dependant")
    reference = _REFERENCES.c
    query = (
        select(reference.service_id, reference.target_id, reference.variable)
        .join(_SERVICES, _SERVICES.c.id == reference.target_id)
        .join(dependant, dependant.c.id == reference.service_id)
        .where(
            dependant.c.status != Status.CANCELLED,
            reference.service_id != reference.target_id,
        )
        .order_by(reference.service_id, reference.position)
    )
    if which is not None:
        query = query.where(which)
    if actor.is_admin:
        rows = reader().execute(query)
    else:
        rows = reader().execute(query.where(READABLE), {"readable": actor.own_id})
    variables: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    hidden: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.target_id not in shown:
            continue
        if row.service_id in shown:
            variables[row.service_id, row.target_id][row.variable] = None
        else:
            hidden[row.target_id].add(row.service_id)
    return (
        {pair: list(names) for pair, names in variables.items()},
        {id: len(dependants) for id, dependants in hidden.items()},
    )
