"""One service: what it is, and its status."""

from flask import Blueprint, redirect, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.catalogue import lifecycle
from cms_services.catalogue.access import load_service
from cms_services.configuration.secrets import masked
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.dashboard.service_frame import render_service_page
from cms_services.vocabulary import Permission, Relation
from cms_services.web.transactions import reading, writing

service_pages = Blueprint("service_pages", __name__)


@service_pages.get("/services/<service_id>")
@signed_in_page(Permission.SERVICES_READ, Relation.VIEWER)
def overview(actor: Actor, service_id: str) -> str:
    with reading():
        service = load_service(actor, service_id)
        return render_service_page(
            "service/overview.html",
            actor,
            service,
            configuration=masked(service.config),
        )


@service_pages.post("/services/<service_id>/<any(suspend, resume):verb>")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def change_status(actor: Actor, service_id: str, verb: str) -> AnyResponse:
    with writing():
        change = lifecycle.suspend if verb == "suspend" else lifecycle.resume
        number = change(actor, service_id).service_id
    back = "resume" if verb == "suspend" else "suspend"
    done = _("Suspended.") if verb == "suspend" else _("Resumed.")
    say(done, undo=url_for("service_pages.change_status", service_id=number, verb=back))
    return redirect(url_for("service_pages.overview", service_id=number), 303)
