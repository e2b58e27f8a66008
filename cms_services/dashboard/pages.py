"""The pages: the list of services, one service. They read without JavaScript."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.catalogue import lifecycle
from cms_services.catalogue.access import load_row, load_service
from cms_services.catalogue.listing import ServiceFilter, list_services
from cms_services.catalogue.models import Service
from cms_services.configuration.secrets import masked
from cms_services.downloads.bundles import BUNDLES
from cms_services.errors import Forbidden
from cms_services.monitoring.health.reports import latest_health
from cms_services.vocabulary import (
    SUSPENDED_STATUS,
    TRANSITIONS,
    Permission,
    Relation,
    ServiceType,
    Status,
)
from cms_services.web.caller import current_actor
from cms_services.web.cross_site import refuse_cross_site_change
from cms_services.web.permissions import page_for
from cms_services.web.transactions import reading, writing

dashboard = Blueprint("dashboard", __name__)

_PAGE_LENGTH = 50


@dashboard.get("/")
@page_for(Permission.SERVICES_READ, Relation.READABLE)
def services() -> str | AnyResponse:
    actor = current_actor()
    if not actor.is_signed_in:
        return redirect(url_for("account_pages.login_page"), 303)
    actor.require(Permission.SERVICES_READ)
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
            types=list(ServiceType),
            statuses=list(Status),
        )


@dashboard.get("/services/<service_id>")
@page_for(Permission.SERVICES_READ, Relation.VIEWER)
def service(service_id: str) -> str | AnyResponse:
    actor = current_actor()
    if not actor.is_signed_in:
        return redirect(url_for("account_pages.login_page"), 303)
    actor.require(Permission.SERVICES_READ)
    with reading():
        return _service_page(actor, service_id)


@dashboard.post("/services/<service_id>/<any(suspend, resume):verb>")
@page_for(Permission.SERVICES_WRITE, Relation.EDITOR)
def change_status(service_id: str, verb: str) -> AnyResponse:
    refuse_cross_site_change()
    actor = current_actor()
    actor.require(Permission.SERVICES_WRITE)
    with writing():
        change = lifecycle.suspend if verb == "suspend" else lifecycle.resume
        changed = change(actor, service_id)
        number = changed.service_id
    return redirect(url_for("dashboard.service", service_id=number), 303)


def _service_page(actor: Actor, service_id: str) -> str:
    found = load_service(actor, service_id)
    allowed = TRANSITIONS[found.family][Status(found.status)]
    return render_template(
        "service.html",
        actor=actor,
        service=found,
        configuration=masked(found.config),
        health=latest_health(actor, service_id),
        downloads=_downloads_of(found),
        can_configure=found.status != Status.CANCELLED and _may_change(actor, found),
        can_suspend=SUSPENDED_STATUS[found.family] in allowed,
        can_resume=Status.ACTIVE in allowed,
    )


def _may_change(actor: Actor, service: Service) -> bool:
    try:
        load_row(actor, service.id, for_change=True)
    except Forbidden:
        return False
    return actor.may(Permission.SERVICES_WRITE)


def _downloads_of(service: Service) -> list[dict[str, str]]:
    """The files that the page offers, with the addresses that they come from."""
    if service.status == Status.CANCELLED:
        return []
    found = []
    for bundle in BUNDLES.values():
        of_template = bundle.service_type is None and service.template is not None
        if not of_template and bundle.service_type != service.type:
            continue
        # Several may share their other number.
        named: dict[str, Any] = {bundle.path_name: service.service_id}
        for format in bundle.formats:
            url = url_for(f"downloads.{bundle.name}", **named, format=format)
            found.append({"url": url, "title": f"Download {bundle.title} ({format.upper()})"})
    return found


def _known(word: str | None, words: type[Status] | type[ServiceType]) -> tuple[str, ...]:
    return (word,) if word in list(words) else ()
