"""What its editors set about a service, and the tokens by which it reports."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.dashboard.forms import REFUSALS, by_field, read_form, typed
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.dashboard.service_frame import render_service_page
from cms_services.dashboard.token_expiry import NEVER, chosen_expiry, expiry_choices
from cms_services.errors import Conflict, DomainError, ValidationFailed
from cms_services.monitoring.health.neighbours import neighbours_of
from cms_services.monitoring.ingest_tokens import (
    create_ingest_token,
    get_ingest_token,
    list_ingest_tokens,
    revoke_ingest_token,
)
from cms_services.projects.sharing import writable_project_names
from cms_services.provisioning.services import may_move, update_service
from cms_services.vocabulary import DEFAULT_ICONS, Permission, Relation, Status
from cms_services.web.errors import STATUS_OF_CODE
from cms_services.web.schemas.accounts import IngestTokenCreation
from cms_services.web.schemas.services import ServiceChange
from cms_services.web.transactions import reading, writing

service_settings_pages = Blueprint("service_settings_pages", __name__)

_MOST_PROJECTS = 500
_TEXTS = ("name", "description", "icon", "project", "tags")
_LISTS = ("endpoints", "dependencies")


@service_settings_pages.get("/services/<service_id>/settings")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def settings(actor: Actor, service_id: str) -> str:
    with reading():
        service = load_service(actor, service_id, for_change=True, lock=False)
        return _page(actor, service, _saved(service))


@service_settings_pages.post("/services/<service_id>/settings")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def save(actor: Actor, service_id: str) -> AnyResponse:
    given = typed(*_TEXTS, *_LISTS)
    try:
        with writing():
            service = load_service(actor, service_id, for_change=True)
            _require_version(service)
            before = service.version
            update_service(actor, service, _changes(given, actor, service))
            number, has_changed = service.service_id, service.version != before
    except REFUSALS as error:
        with reading():
            # Whoever may not change it at all is refused here.
            service = load_service(actor, service_id, for_change=True, lock=False)
            page = _page(actor, service, given, error)
        return Response(page, STATUS_OF_CODE[error.code])
    say(_("Saved.") if has_changed else _("Nothing changed: it was so already."))
    return redirect(url_for("service_settings_pages.settings", service_id=number), 303)


@service_settings_pages.get("/services/<service_id>/settings/tokens")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def new_token(actor: Actor, service_id: str) -> str:
    with reading():
        return _token_form(actor, load_service(actor, service_id, for_change=True, lock=False), {})


@service_settings_pages.post("/services/<service_id>/settings/tokens")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def create_token(actor: Actor, service_id: str) -> AnyResponse:
    """Make a token, whose text stands in this answer alone."""
    try:
        given = typed("name", "expiry")
        expiry = chosen_expiry(given["expiry"] or NEVER)
        asked = {"name": given["name"].strip(), "expiresAt": expiry}
        read = read_form(IngestTokenCreation, asked)
        with writing():
            text = create_ingest_token(actor, service_id, read["name"], read["expires_at"])[1]
    except ValidationFailed as error:
        with reading():
            service = load_service(actor, service_id, for_change=True, lock=False)
            return Response(_token_form(actor, service, error.details), 400)
    with reading():
        service = load_service(actor, service_id, for_change=True, lock=False)
        return Response(_page(actor, service, _saved(service), made=(read["name"], text)), 201)


@service_settings_pages.get("/services/<service_id>/settings/tokens/<token_id>/revoke")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def confirm_revoking(actor: Actor, service_id: str, token_id: str) -> str:
    with reading():
        service = load_service(actor, service_id, for_change=True, lock=False)
        token = get_ingest_token(actor, service_id, token_id)
        return render_service_page("service/confirm_revoking.html", actor, service, token=token)


@service_settings_pages.post("/services/<service_id>/settings/tokens/<token_id>/revoke")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def revoke_token(actor: Actor, service_id: str, token_id: str) -> AnyResponse:
    with writing():
        revoke_ingest_token(actor, service_id, token_id)
    say(_("Revoked: what writes with that token is refused from now on."))
    return redirect(url_for("service_settings_pages.settings", service_id=service_id), 303)


def _require_version(service: Service) -> None:
    """Raise Conflict where somebody else has saved since the form was opened."""
    if request.form.get("version") != service.entity_tag:
        raise Conflict(
            _(
                "Somebody else saved first. What you typed is still in the form; where it "
                "differs, what is saved now stands below the field. Save again to put yours in "
                "its place."
            )
        )


def _saved(service: Service) -> dict[str, str]:
    """What is saved, as the form shows it."""
    return {
        "name": service.name,
        "description": service.description,
        "icon": service.icon,
        "project": service.project_name or "",
        "tags": ", ".join(service.tags),
        "endpoints": _lines(service.endpoints),
        "dependencies": _lines(service.dependencies),
    }


def _lines(listed: Any) -> str:
    # Imported rows can hold anything.
    return "\n".join(map(str, listed)) if isinstance(listed, list) else ""


def _changes(given: Mapping[str, str], actor: Actor, service: Service) -> dict[str, Any]:
    """What was typed, as update_service() takes it. Raises ValidationFailed."""
    changes: dict[str, Any] = {name: given[name].strip() for name in ("name", "icon")}
    # Browsers end lines by both characters.
    changes["description"] = given["description"].replace("\r\n", "\n")
    saved = _saved(service)
    for name in _LISTS:
        # Left as it was shown it stays as it is: imported rows hold what no line can tell.
        if given[name].replace("\r\n", "\n") != saved[name]:
            changes[name] = [line.strip() for line in given[name].splitlines() if line.strip()]
    changes["tags"] = [each.strip() for each in given["tags"].split(",") if each.strip()]
    # Who may not move the service is not asked where to, and sends nothing.
    if "project" in request.form and may_move(actor, service):
        changes["project"] = given["project"].strip() or None
    return read_form(ServiceChange, changes)


def _page(
    actor: Actor,
    service: Service,
    given: Mapping[str, str],
    error: DomainError | None = None,
    made: tuple[str, str] | None = None,
) -> str:
    """The form, with what is wrong with it; after a conflict with what differs from what is saved.

    `made` are the name and the text of a token that was just made.
    """
    saved = _saved(service)
    is_conflict = isinstance(error, Conflict) and service.status != Status.CANCELLED
    differing = {
        name: value
        for name, value in saved.items()
        if is_conflict and value != given.get(name, "").replace("\r\n", "\n")
    }
    problems = error.details if isinstance(error, ValidationFailed) else {}
    return render_service_page(
        "service/settings.html",
        actor,
        service,
        typed=given,
        message=error.message if error else None,
        problems=by_field(problems),
        differing=differing,
        icon_names=sorted(set(DEFAULT_ICONS.values())),
        may_move=may_move(actor, service),
        project_choices=[(name, name) for name in _project_names(actor, service)],
        missing=neighbours_of(actor, service, far=False).missing,
        tokens=list_ingest_tokens(actor, service.id),
        present=now(),
        made=made,
    )


def _project_names(actor: Actor, service: Service) -> list[str]:
    """The projects that the caller may put services into, and the one that it is in."""
    names = {*writable_project_names(actor, _MOST_PROJECTS)}
    return sorted(names | ({service.project_name} if service.project_name else set()))


def _token_form(actor: Actor, service: Service, problems: Mapping[str, list[str]]) -> str:
    return render_service_page(
        "service/new_token.html",
        actor,
        service,
        problems=problems,
        typed_name=request.form.get("name", ""),
        expiry=request.form.get("expiry", NEVER),
        expiries=expiry_choices(),
    )
