"""The versions of a service's configuration: what each changed, any two compared, one restored."""

from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.configuration import history
from cms_services.dashboard.configuration_changes import shown_changes
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.dashboard.service_frame import render_service_page
from cms_services.errors import Conflict
from cms_services.vocabulary import Permission, Relation
from cms_services.web.bodies import read_query
from cms_services.web.schemas.configuration import VersionsComparedQuery
from cms_services.web.transactions import reading, writing

version_pages = Blueprint(
    "version_pages", __name__, url_prefix="/services/<service_id>/configuration/versions"
)

_PAGE_LENGTH = 20


@version_pages.get("")
@signed_in_page(Permission.SERVICES_READ, Relation.VIEWER)
def versions(actor: Actor, service_id: str) -> str:
    with reading():
        service = load_service(actor, service_id)
        page = history.list_versions(
            actor, service.id, limit=_PAGE_LENGTH, cursor=request.args.get("cursor")
        )
        return render_service_page(
            "service/versions.html",
            actor,
            service,
            items=[_shown_version(each) for each in page.items],
            next_cursor=page.next_cursor,
            newest=history.latest_number(service.id),
        )


@version_pages.get("/compare")
@signed_in_page(Permission.SERVICES_READ, Relation.VIEWER)
def compare(actor: Actor, service_id: str) -> str:
    """Any two; without `to`, with the newest."""
    query = read_query(VersionsComparedQuery)
    with reading():
        service = load_service(actor, service_id)
        to = query["to"] if query["to"] is not None else history.latest_number(service.id)
        return render_service_page(
            "service/versions_compared.html",
            actor,
            service,
            comparison=_comparison(actor, service.id, query["since"], to),
        )


@version_pages.get("/<int(max=2147483647):number>/restore")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def restore_page(actor: Actor, service_id: str, number: int) -> str:
    return _restore_page(actor, service_id, number)


@version_pages.post("/<int(max=2147483647):number>/restore")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def restore(actor: Actor, service_id: str, number: int) -> AnyResponse:
    try:
        with writing():
            service = load_service(actor, service_id, for_change=True)
            before = history.latest_number(service.id)
            _require_newest(before)
            history.restore_version(
                actor, service, number, allow_breaking="breaking" in request.form
            )
            public, after = service.service_id, history.latest_number(service.id)
    except Conflict as error:
        return Response(_restore_page(actor, service_id, number, error), 409)
    if after == before:
        say(_("Version %(number)s is what is in use already.", number=number))
    else:
        say(
            _("Version %(number)s is restored, as version %(after)s.", number=number, after=after),
            undo=url_for("version_pages.restore", service_id=public, number=before, undo=after),
        )
    return redirect(url_for("version_pages.versions", service_id=public), 303)


def _require_newest(number: int) -> None:
    """Raise Conflict where somebody else has saved since the question, or what is to be undone."""
    asked_for = request.args.get("undo", request.form.get("version"))
    if asked_for is not None and asked_for != str(number):
        raise Conflict(_("Somebody else saved first"))


def _restore_page(actor: Actor, service_id: str, number: int, error: Conflict | None = None) -> str:
    """The question whether to restore a version, with what that would change."""
    details: dict[str, Any] = (error.details if error else None) or {}
    with reading():
        service = load_service(actor, service_id, for_change=True, lock=False)
        history.get_version(actor, service.id, number)
        return render_service_page(
            "service/versions_restore.html",
            actor,
            service,
            comparison=_comparison(actor, service.id, history.latest_number(service.id), number),
            message=error.message if error else None,
            lost=details.get("dependents"),
            lost_others=details.get("others", 0),
        )


def _comparison(actor: Actor, service_id: str, since: int, to: int) -> dict[str, Any]:
    changes = history.compare_versions(actor, service_id, to, since).changes
    return {"since": since, "to": to, "changes": shown_changes(changes)}


def _shown_version(version: Any) -> dict[str, Any]:
    return {
        "number": version.number,
        "author_name": version.author_name,
        "created_at": version.created_at,
        "changes": None if version.changes is None else shown_changes(version.changes),
    }
