"""What a service needs and what needs it, near and far, and how each of them stands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cms_services.actor import Actor
from cms_services.catalogue.models import Service
from cms_services.configuration.dependency_graph import (
    Node,
    dependants_of,
    graph_near,
    graph_of,
    needs_of,
)
from cms_services.monitoring.health.current import health_of
from cms_services.vocabulary import HealthStatus


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A service that another one needs, or that needs it."""

    node: Node
    health: HealthStatus
    # Whether the one that needs names it under its `dependencies`, and the variables by which it
    # takes values; of far ones, those towards `via`.
    is_declared: bool
    variables: Sequence[str]
    # The service between, where they are not next to each other.
    via: Node | None = None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the caller may read of them. Far ones are connected by way of others."""

    needs: Sequence[Neighbour] = ()
    far_needs: Sequence[Neighbour] = ()
    dependants: Sequence[Neighbour] = ()
    far_dependants: Sequence[Neighbour] = ()
    # What stands under `dependencies` and names no service.
    missing: Sequence[str] = ()
    # How many services that the caller may not read take values from this one.
    hidden_dependants: int = 0

    @property
    def all_dependants(self) -> list[Neighbour]:
        return [*self.dependants, *self.far_dependants]


def neighbours_of(actor: Actor, service: Service, *, far: bool = True) -> Neighbours:
    """The neighbours of a loaded service; of a cancelled one none, since nothing means it.

    Far ones take the graph of all services, so leave them out where they are not shown.
    """
    graph = graph_of(actor) if far else graph_near(actor, service)
    node = graph.nodes.get(service.id)
    if node is None:
        return Neighbours()
    needs, dependants = needs_of(graph, node.id), dependants_of(graph, node.id)
    if not far:
        # Those next to it can be connected among themselves too.
        needs = [each for each in needs if each.id in graph.needed_by.get(node.id, ())]
        dependants = [each for each in dependants if each.id in graph.dependants.get(node.id, ())]
    health = health_of({each.id for each in (*needs, *dependants)})
    edges = {(each.dependant, each.needed): each for each in graph.edges}

    def met(
        found: Sequence[Node], steps: Mapping[str, Sequence[str]], up: bool
    ) -> Iterator[Neighbour]:
        before = [node]
        for each in found:
            # The nearest come first, so that what leads here was met already.
            via = next(known for known in before if each.id in steps.get(known.id, ()))
            edge = edges[(via.id, each.id) if up else (each.id, via.id)]
            yield Neighbour(
                each,
                health.get(each.id, HealthStatus.UNKNOWN),
                edge.is_declared,
                edge.variables,
                None if via is node else via,
            )
            before.append(each)

    needed = list(met(needs, graph.needed_by, up=True))
    needing = list(met(dependants, graph.dependants, up=False))
    return Neighbours(
        *_near_and_far(needed),
        *_near_and_far(needing),
        missing=node.missing,
        hidden_dependants=node.hidden_dependants,
    )


def _near_and_far(found: Sequence[Neighbour]) -> tuple[list[Neighbour], list[Neighbour]]:
    near = [each for each in found if each.via is None]
    return near, [each for each in found if each.via is not None]
