"""The page on which a service's configuration is edited: as a typed form and as JSON, two views of
one document.

Both work without JavaScript, each with its own button. With it they follow each other as one types
(static/js/elements/config-editor.js), by asking `check` what the other one looks like.
"""

from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.models import Service
from cms_services.configuration.differences import differences
from cms_services.configuration.documents import Document
from cms_services.configuration.history import (
    check_configuration,
    latest_number,
    list_versions,
    replace_configuration,
)
from cms_services.configuration.references import Dependent, exported_names, list_dependents
from cms_services.configuration.secrets import masked
from cms_services.configuration.shape import shaped_leniently
from cms_services.dashboard.configuration_changes import shown_changes
from cms_services.dashboard.configuration_forms import (
    pretty,
    typed_document,
    typed_form,
)
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.dashboard.service_frame import render_service_page
from cms_services.errors import Conflict, DomainError, MalformedBody, ValidationFailed
from cms_services.vocabulary import Permission, Relation, ServiceType
from cms_services.web.bodies import parse_json_object, refuse_unstorable
from cms_services.web.transactions import reading, writing

configuration_pages = Blueprint("configuration_pages", __name__)


@dataclass
class _Typed:
    """What somebody typed: the text of the JSON, and the document where there is one to show.

    `refused` are the texts of typed fields that no document can hold, `problems` what is wrong with
    them.
    """

    text: str
    document: Document | None = None
    refused: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    error: DomainError | None = None

    def as_document(self) -> Document:
        """The document. Raises what is wrong with it by itself."""
        if self.error is not None:
            raise self.error
        if self.document is None or self.problems:
            raise ValidationFailed(self.problems)
        return self.document


@configuration_pages.get("/services/<service_id>/configuration")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def edit(actor: Actor, service_id: str) -> str:
    with reading():
        service = load_service(actor, service_id, for_change=True, lock=False)
        document = masked(service.config)
        typed = _Typed(pretty(document), document)
        return _page(actor, service, typed, number=latest_number(service.id))


@configuration_pages.post("/services/<service_id>/configuration")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def save(actor: Actor, service_id: str) -> AnyResponse:
    with reading():
        service = load_service(actor, service_id, for_change=True, lock=False)
        typed = _typed(ServiceType(service.type))
    if {"add", "remove"} & request.form.keys():
        # One more field is wanted, or one less; nothing is saved.
        with reading():
            service = load_service(actor, service_id)
            return Response(_page(actor, service, typed, number=_posted_number()))
    try:
        document = typed.as_document()
        with writing():
            service = load_service(actor, service_id, for_change=True)
            before = latest_number(service.id)
            if before != _posted_number():
                raise _Outdated
            replace_configuration(
                actor, service, document, allow_breaking="breaking" in request.form
            )
            number, after = service.service_id, latest_number(service.id)
    except _Outdated:
        with reading():
            service = load_service(actor, service_id)
            page = _page(actor, service, typed, number=latest_number(service.id), is_conflict=True)
        return Response(page, 409)
    except (ValidationFailed, MalformedBody, Conflict) as error:
        typed.error = error
        with reading():
            service = load_service(actor, service_id)
            page = _page(actor, service, typed, number=_posted_number())
        return Response(page, 409 if isinstance(error, Conflict) else 400)
    _say_saved(number, before, after)
    return redirect(url_for("configuration_pages.edit", service_id=number), 303)


@configuration_pages.post("/services/<service_id>/configuration/check")
@signed_in_page(Permission.SERVICES_WRITE, Relation.EDITOR)
def check(actor: Actor, service_id: str) -> str:
    """Both views of what was typed in one of them, and what is wrong with it; nothing is saved."""
    with reading():
        service = load_service(actor, service_id, for_change=True, lock=False)
        typed = _typed(ServiceType(service.type))
        if typed.document is not None and not typed.problems:
            try:
                check_configuration(service, typed.document)
            except ValidationFailed as error:
                typed.error = error
        shown = _shown(actor, service, typed, number=_posted_number())
        return render_template("service/configuration_editor.html", service=service, **shown)


class _Outdated(Exception):
    """Somebody else has saved since the form was opened."""


def _posted_number() -> int:
    """The number of the version that the form was made for."""
    given = request.form.get("version", "")
    return int(given) if given.isdecimal() and len(given) < 10 else -1


def _typed(service_type: ServiceType) -> _Typed:
    """What the request's form says: the JSON, or typed fields and the document they are for."""
    text = request.form.get("document")
    is_json = text is not None
    if text is None:
        text = request.form.get("base", "")
    try:
        document = parse_json_object(text.encode())
        if is_json:
            return _Typed(text, document)
        document, refused, problems = typed_document(
            service_type, document, request.form.to_dict(flat=False)
        )
        refuse_unstorable(document)
        return _Typed(pretty(document), document, refused, problems)
    except (MalformedBody, ValidationFailed) as error:
        return _Typed(text, error=error)


def _page(
    actor: Actor, service: Service, typed: _Typed, *, number: int, is_conflict: bool = False
) -> str:
    """The editor, with what was typed and what is wrong with it; a conflict shows both."""
    versions = list_versions(actor, service.id, limit=1, cursor=None).items
    conflict = None
    if is_conflict and typed.document is not None:
        saved = shaped_leniently(service.family, masked(service.config))
        mine = shaped_leniently(service.family, typed.document)
        conflict = shown_changes(differences(saved, mine))
    return render_service_page(
        "service/configuration.html",
        actor,
        service,
        newest=versions[0] if versions else None,
        conflict=conflict,
        is_unsaved=request.method == "POST",
        **_shown(actor, service, typed, number=number),
    )


def _shown(actor: Actor, service: Service, typed: _Typed, *, number: int) -> dict[str, Any]:
    """What configuration_editor.html shows."""
    error = typed.error
    problems = dict(typed.problems)
    if isinstance(error, ValidationFailed):
        problems |= error.details
    form = None
    if typed.document is not None:
        form = typed_form(ServiceType(service.type), typed.document, problems, typed.refused)
    message = error.message if error else None
    if problems:
        message = _("Not everything can be saved as it is.")
    # Services that take values which would be gone; saving tells of those too that the caller
    # may not see.
    refused = error.details if isinstance(error, Conflict) and error.details else None
    lost = _lost(actor, service, typed.document)
    return {
        "form": form,
        "base": typed.text if form else "",
        "typed": typed.text,
        "number": number,
        "message": None if refused else message,
        "lost": lost,
        "lost_others": refused["others"] if refused else 0,
        "may_break": refused is not None,
        "may_reveal": actor.may(Permission.SECRETS_READ),
    }


def _lost(actor: Actor, service: Service, document: Document | None) -> list[Dependent]:
    """Who takes a value that the document would take away."""
    gone = exported_names(service.config) - exported_names(document) if document else set()
    return (
        [each for each in list_dependents(actor, service.id) if each.export in gone] if gone else []
    )


def _say_saved(number: str, before: int, after: int) -> None:
    if after == before:
        say(_("Nothing was changed."))
        return
    undo = None
    if before:
        undo = url_for("version_pages.restore", service_id=number, number=before, undo=after)
    say(_("Saved as version %(number)s.", number=after), undo=undo)
