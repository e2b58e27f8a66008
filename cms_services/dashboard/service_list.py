"""The first page: the list of services."""

from flask import Blueprint, render_template, request

from cms_services.actor import Actor
from cms_services.catalogue.listing import ServiceFilter, list_services
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.words import choices
from cms_services.vocabulary import Permission, Relation, ServiceType, Status
from cms_services.web.transactions import reading

service_list = Blueprint("service_list", __name__)

_PAGE_LENGTH = 50


@service_list.get("/")
@signed_in_page(Permission.SERVICES_READ, Relation.READABLE)
def services(actor: Actor) -> str:
    wanted = ServiceFilter(
        statuses=_known(request.args.get("status"), Status),
        types=_known(request.args.get("type"), ServiceType),
        q=request.args.get("q", "").replace("\x00", "")[:255] or None,
    )
    with reading():
        page = list_services(actor, wanted, "name", _PAGE_LENGTH, request.args.get("cursor"))
        return render_template(
            "services.html",
            actor=actor,
            page=page,
            wanted=wanted,
            type_choices=choices(ServiceType, "type_word"),
            status_choices=choices(Status, "status_word"),
        )


def _known(word: str | None, words: type[Status] | type[ServiceType]) -> tuple[str, ...]:
    return (word,) if word in list(words) else ()
