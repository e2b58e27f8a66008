"""What a service depends on, and what would miss it."""

from flask import Blueprint

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.configuration.references import list_dependents, list_taken
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.service_frame import render_service_page
from cms_services.monitoring.health.neighbours import Neighbours, neighbours_of
from cms_services.vocabulary import Permission, Relation
from cms_services.web.transactions import reading

dependency_pages = Blueprint("dependency_pages", __name__)


@dependency_pages.get("/services/<service_id>/dependencies")
@signed_in_page(Permission.SERVICES_READ, Relation.VIEWER)
def dependencies(actor: Actor, service_id: str) -> str:
    with reading():
        service = load_service(actor, service_id)
        neighbours = neighbours_of(actor, service)
        return render_service_page(
            "service/dependencies.html",
            actor,
            service,
            neighbours=neighbours,
            followed=_followed(neighbours),
            taken=list_taken(actor, service),
            given=list_dependents(actor, service.id),
        )


def _followed(neighbours: Neighbours) -> list[str]:
    """The services whose changes show here too."""
    shown = (
        *neighbours.needs,
        *neighbours.far_needs,
        *neighbours.dependants,
        *neighbours.far_dependants,
    )
    return [each.node.id for each in shown]
