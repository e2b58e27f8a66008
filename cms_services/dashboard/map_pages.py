"""The dependency map: what breaks if a service stops, drawn and as a table."""

from flask import Blueprint, render_template, request, url_for

from cms_services.actor import Actor
from cms_services.configuration.dependency_graph import dependants_of, needs_of
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.project_filter import ProjectFilter
from cms_services.dashboard.words import WORD_FILTERS
from cms_services.monitoring.dependency_map import DependencyMap, MapNode, dependency_map
from cms_services.monitoring.health.overview import STATES
from cms_services.monitoring.health.periods import MAINTENANCE
from cms_services.vocabulary import Permission, Relation, ServiceType, Status
from cms_services.web.schemas.dependencies import DependenciesOut
from cms_services.web.transactions import reading

map_pages = Blueprint("map_pages", __name__)

# More are neither laid out in a moment nor seen at once.
_MOST_DRAWN = 600
# How many are told of those that most depends on.
_FOUNDATIONS = 6


@map_pages.get("/map")
@signed_in_page(Permission.SERVICES_READ, Relation.READABLE)
def dependencies(actor: Actor) -> str:
    with reading():
        projects = ProjectFilter.of_page(actor)
        project = projects.chosen
        found = dependency_map(actor, project)
    graph = found.graph
    nodes = {each.id: each for each in found.nodes}
    connected = [each for each in found.nodes if _is_connected(found, each)]
    broken = {each.id: len(dependants_of(graph, each.id)) for each in connected}
    number = request.args.get("service")
    chosen = next((each for each in found.nodes if each.service_id == number), None)
    return render_template(
        "map/map.html",
        actor=actor,
        graph=graph,
        connected=connected,
        alone=len(nodes) - len(connected),
        broken=broken,
        foundations=sorted(connected, key=lambda each: -broken[each.id])[:_FOUNDATIONS],
        chosen=chosen,
        breaks=[nodes[each.id] for each in dependants_of(graph, chosen.id)] if chosen else [],
        needs=[nodes[each.id] for each in needs_of(graph, chosen.id)] if chosen else [],
        # As `source` tells it, so that the map needs not ask.
        drawn=DependenciesOut().dump({"nodes": connected, "edges": found.edges})
        if len(connected) <= _MOST_DRAWN
        else None,
        most_drawn=_MOST_DRAWN,
        project=project,
        projects=projects,
        source=url_for("services.dependencies", project=project),
        words=_words(),
        type_icons={str(each): WORD_FILTERS["type_icon"](each) for each in ServiceType},
    )


def _is_connected(found: DependencyMap, node: MapNode) -> bool:
    graph = found.graph
    return bool(
        node.missing
        or node.hidden_dependants
        or node.id in graph.needed_by
        or node.id in graph.dependants
    )


def _words() -> dict[str, str]:
    """The words that the drawn map says, by what the API calls it."""
    by_filter: dict[str, list[str]] = {
        "health_word": [each for each in STATES if each != MAINTENANCE],
        "status_word": list(Status),
        "type_word": list(ServiceType),
    }
    return {
        str(word): WORD_FILTERS[filter_name](word)
        for filter_name, words in by_filter.items()
        for word in words
    }
