"""One service: what it is and how it does, and its status, changed once that was confirmed."""

from collections.abc import Sequence
from datetime import datetime

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.audit.trail import list_entries
from cms_services.catalogue import lifecycle
from cms_services.catalogue.access import load_service
from cms_services.catalogue.models import Service
from cms_services.configuration.secrets import masked
from cms_services.dashboard.forms import read_form, typed
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.dashboard.service_frame import render_service_page, sees_all_entries
from cms_services.dashboard.words import WORD_FILTERS
from cms_services.database import AnyRow
from cms_services.errors import Conflict, InvalidTransition, ValidationFailed
from cms_services.events.feed import latest_events
from cms_services.monitoring.health.consequences import consequences_of
from cms_services.monitoring.health.neighbours import neighbours_of
from cms_services.monitoring.logs.search import list_entries as list_log_entries
from cms_services.settings import current_settings
from cms_services.vocabulary import (
    SUSPENDED_STATUS,
    TRANSITIONS,
    LogLevel,
    Permission,
    Relation,
    Status,
)
from cms_services.web.schemas.services import Reason
from cms_services.web.transactions import reading, writing

service_pages = Blueprint("service_pages", __name__)

_FEW = 5
_RESTORE = "restore"
_VERB_OF_STATUS = {
    Status.ACTIVE: "resume",
    Status.MAINTENANCE: "maintenance",
    Status.INACTIVE: "suspend",
    Status.SUSPENDED: "suspend",
}
_DONE = {
    "suspend": lazy_gettext("Suspended."),
    "resume": lazy_gettext("Resumed."),
    "maintenance": lazy_gettext("Maintenance has begun."),
    "cancel": lazy_gettext("Cancelled."),
    _RESTORE: lazy_gettext("Restored."),
}


@service_pages.get("/services/<service_id>")
@signed_in_page(Permission.SERVICES_READ, Relation.VIEWER)
def overview(actor: Actor, service_id: str) -> str:
    with reading():
        service = load_service(actor, service_id)
        entries: Sequence[AnyRow] = ()
        events: Sequence[AnyRow] = ()
        if sees_all_entries(actor, service):
            entries = list_entries(actor, limit=_FEW, target_id=service.id).items
        else:
            # Members of the project learn what happened, as they do by the stream, not who did it.
            events = latest_events(service.id, _FEW)
        return render_service_page(
            "service/overview.html",
            actor,
            service,
            configuration=masked(service.config),
            neighbours=neighbours_of(actor, service, far=False),
            entries=entries,
            events=events,
            failures=list_log_entries(actor, service.id, limit=_FEW, level=LogLevel.ERROR).items,
            restorable_until=_restorable_until(service),
        )


@service_pages.get("/services/<service_id>/<any(suspend, resume, maintenance, cancel):verb>")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def confirm(actor: Actor, service_id: str, verb: str) -> AnyResponse:
    return _confirmation(actor, service_id, verb)


@service_pages.post("/services/<service_id>/<any(suspend, resume, maintenance, cancel):verb>")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def change_status(actor: Actor, service_id: str, verb: str) -> AnyResponse:
    return _change(actor, service_id, verb)


@service_pages.get("/services/<service_id>/restore")
@signed_in_page(Permission.SERVICES_RESTORE)
def confirm_restoring(actor: Actor, service_id: str) -> AnyResponse:
    return _confirmation(actor, service_id, _RESTORE)


@service_pages.post("/services/<service_id>/restore")
@signed_in_page(Permission.SERVICES_RESTORE)
def restore(actor: Actor, service_id: str) -> AnyResponse:
    return _change(actor, service_id, _RESTORE)


def _change(actor: Actor, service_id: str, verb: str) -> AnyResponse:
    """Do what was confirmed, or take it back; what is wrong is said above the form."""
    try:
        with writing():
            service = load_service(actor, service_id, for_change=True)
            before = Status(service.status)
            _require_unchanged_since(service)
            reason = _typed_reason()
            if verb == "cancel":
                _require_typed_name(service)
            if verb == _RESTORE:
                _restore(actor, service, reason)
            else:
                lifecycle.transition(actor, service, _target(service, verb), reason)
            number, version = service.service_id, service.version
            has_changed = service.status != before
    except ValidationFailed as error:
        return _confirmation(actor, service_id, verb, error.details, 400)
    except InvalidTransition:
        return _confirmation(actor, service_id, verb, status=409)
    if not has_changed:
        say(_("Nothing changed: it was so already."))
    else:
        is_undoing = "undo" in request.args
        undo = None if is_undoing else _undo_address(actor, number, verb, before, version)
        say(_("Undone.") if is_undoing else str(_DONE[verb]), undo=undo)
    return redirect(url_for("service_pages.overview", service_id=number), 303)


def _restore(actor: Actor, service: Service, reason: str | None) -> None:
    retention = current_settings().service_retention
    lifecycle.restore(actor, service.id, retention, reason)
    # As an undoing it comes back as what it was.
    was = request.args.get("was")
    if was in set(_VERB_OF_STATUS):
        lifecycle.transition(actor, service, Status(was), reason)


def _require_unchanged_since(service: Service) -> None:
    """Raise Conflict where an undoing comes after somebody else's change."""
    version = request.args.get("undo")
    if version is not None and version != str(service.version):
        raise Conflict(
            _(
                "“%(name)s” was changed again since then, and is %(status)s now: nothing was "
                "undone. Look at it, and change it as you want it.",
                name=service.name,
                status=WORD_FILTERS["status_word"](service.status),
            )
        )


def _typed_reason() -> str | None:
    """Raises ValidationFailed."""
    given = typed("reason")["reason"].strip() or None
    reason: str | None = read_form(Reason, {"reason": given})["reason"]
    return reason


def _require_typed_name(service: Service) -> None:
    if request.form.get("name") != service.name:
        raise ValidationFailed(
            {"name": [_("This is not the name of the service, letter by letter.")]}
        )


def _target(service: Service, verb: str) -> Status:
    return {
        "suspend": SUSPENDED_STATUS[service.family],
        "resume": Status.ACTIVE,
        "maintenance": Status.MAINTENANCE,
        "cancel": Status.CANCELLED,
        _RESTORE: Status.ACTIVE,
    }[verb]


def _undo_address(actor: Actor, number: str, verb: str, before: Status, version: int) -> str | None:
    """The address that takes a change back by POST, as long as nobody has changed it again."""
    if verb == "cancel":
        if not actor.may(Permission.SERVICES_RESTORE):
            return None
        return url_for("service_pages.restore", service_id=number, undo=version, was=before)
    if verb == _RESTORE:
        # Cancelling takes the name, which nobody types into a message.
        return None
    back = _VERB_OF_STATUS[before]
    return url_for("service_pages.change_status", service_id=number, verb=back, undo=version)


def _confirmation(
    actor: Actor,
    service_id: str,
    verb: str,
    problems: dict[str, list[str]] | None = None,
    status: int | None = None,
) -> AnyResponse:
    """What will happen, and the form; a status that can't follow is said instead of it."""
    with reading():
        service = load_service(actor, service_id, for_change=verb != _RESTORE, lock=False)
        to = _target(service, verb)
        is_possible = _is_possible(service, verb, to)
        page = render_template(
            "service/confirm.html",
            actor=actor,
            service=service,
            verb=verb,
            to=to,
            is_possible=is_possible,
            consequences=consequences_of(actor, service, to, current_settings().service_retention),
            may_restore=actor.may(Permission.SERVICES_RESTORE),
            reason=request.form.get("reason", ""),
            typed_name=request.form.get("name", ""),
            problems=problems or {},
        )
    return Response(page, status or (200 if is_possible else 409))


def _is_possible(service: Service, verb: str, to: Status) -> bool:
    if verb == _RESTORE:
        return service.status == Status.CANCELLED
    return to in TRANSITIONS[service.family][Status(service.status)]


def _restorable_until(service: Service) -> datetime | None:
    if service.cancelled_at is None:
        return None
    return service.cancelled_at + current_settings().service_retention
