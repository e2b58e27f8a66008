"""The page on which a service's configuration is edited as JSON. It works without JavaScript."""

import orjson
from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.catalogue.access import load_row, load_service
from cms_services.catalogue.models import Service
from cms_services.configuration.history import replace_configuration
from cms_services.configuration.secrets import masked
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.service_frame import render_service_page
from cms_services.errors import Conflict, MalformedBody, ValidationFailed
from cms_services.vocabulary import Permission, Relation
from cms_services.web.bodies import parse_json_object
from cms_services.web.transactions import reading, writing

configuration_pages = Blueprint("configuration_pages", __name__)


@configuration_pages.get("/services/<service_id>/configuration")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def edit(actor: Actor, service_id: str) -> str:
    with reading():
        service = load_service(actor, service_id)
        load_row(actor, service.id, for_change=True)
        return _page(actor, service, _pretty(masked(service.config)))


@configuration_pages.post("/services/<service_id>/configuration")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def save(actor: Actor, service_id: str) -> AnyResponse:
    typed = request.form.get("document", "")
    try:
        with writing():
            service = load_service(actor, service_id, for_change=True)
            _require_version(service)
            replace_configuration(actor, service, parse_json_object(typed.encode()))
            number = service.service_id
    except (ValidationFailed, MalformedBody, Conflict) as error:
        with reading():
            service = load_service(actor, service_id)
            page = _page(actor, service, typed, error)
        return Response(page, 409 if isinstance(error, Conflict) else 400)
    return redirect(url_for("service_pages.overview", service_id=number), 303)


def _require_version(service: Service) -> None:
    """Raise Conflict where somebody else has saved since the form was opened."""
    if request.form.get("version") != service.entity_tag:
        raise Conflict(
            "Somebody else changed this service since you opened the form. What you typed is "
            "below: compare it with what is saved now, and save again to put it in that place."
        )


def _page(
    actor: Actor,
    service: Service,
    typed: str,
    error: ValidationFailed | MalformedBody | Conflict | None = None,
) -> str:
    """The form, with what was typed and what is wrong with it; a conflict shows what is saved."""
    return render_service_page(
        "service/configuration.html",
        actor,
        service,
        typed=typed,
        message=error.message if error else None,
        problems=error.details if isinstance(error, ValidationFailed) else {},
        saved=_pretty(masked(service.config)) if isinstance(error, Conflict) else None,
    )


def _pretty(document: object) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
