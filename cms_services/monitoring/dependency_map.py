"""Which services depend on which, and how each stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from cms_services.actor import Actor
from cms_services.configuration.dependency_graph import Graph, Node, graph_of
from cms_services.monitoring.health.overview import states_of
from cms_services.vocabulary import HealthStatus


@dataclass(frozen=True)
class MapNode(Node):
    # One of health.overview.STATES.
    state: str = HealthStatus.UNKNOWN


@dataclass(frozen=True)
class MapEdge:
    """One service needs another; both by their serviceIds."""

    dependant: str
    needed: str
    declared: bool
    variables: Sequence[str]


@dataclass(frozen=True)
class DependencyMap:
    nodes: Sequence[MapNode]
    edges: Sequence[MapEdge]
    graph: Graph


def dependency_map(actor: Actor, project: str | None = None) -> DependencyMap:
    """The graph of graph_of(), with states; three statements however many services there are."""
    graph = graph_of(actor, project)
    states = states_of(actor)
    nodes = graph.nodes
    return DependencyMap(
        [
            MapNode(**vars(node), state=states.get(node.id, HealthStatus.UNKNOWN))
            for node in nodes.values()
        ],
        [
            MapEdge(
                nodes[each.dependant].service_id,
                nodes[each.needed].service_id,
                each.is_declared,
                each.variables,
            )
            for each in graph.edges
        ],
        graph,
    )
