"""A new service: what it begins as, then a form that says what is wrong while it is filled in."""

from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.catalogue.tags import read_tags
from cms_services.dashboard.forms import (
    REFUSALS,
    Refusal,
    by_field,
    read_form,
    refusal_of,
    typed,
)
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.dashboard.once import key_of_form, made_once
from cms_services.errors import DomainError, Forbidden, NotFound, ValidationFailed
from cms_services.projects.sharing import writable_project, writable_project_names
from cms_services.provisioning.services import NewService, check_new_service, create_service
from cms_services.scaffolds.templates import Template, all_templates, get_template
from cms_services.vocabulary import (
    FAMILY_OF_TYPE,
    TYPES_OF_FAMILY,
    Family,
    Permission,
    Relation,
    ServiceType,
)
from cms_services.web.errors import STATUS_OF_CODE
from cms_services.web.schemas.services import ServiceCreation
from cms_services.web.transactions import reading

create_pages = Blueprint("create_pages", __name__)

_MOST_PROJECTS = 200
_PLAIN = ("name", "project", "description", "billingId")
_LISTS = ("tags", "endpoints", "dependencies")
_DAYS = ("startDate", "nextBilling")


@dataclass(frozen=True)
class _Beginning:
    """What a new service begins as: from a template, or blank of a type."""

    type: ServiceType
    template: Template | None = None

    @property
    def family(self) -> Family:
        return FAMILY_OF_TYPE[self.type]

    @property
    def address(self) -> dict[str, str]:
        return {"template": self.template.id} if self.template else {"type": self.type}


@create_pages.get("/services/new")
@signed_in_page(Permission.SERVICES_WRITE, Relation.NONE)
def new(actor: Actor) -> str:
    beginning = _beginning()
    if beginning is None:
        return render_template(
            "services/begin.html",
            actor=actor,
            templates=all_templates(),
            families=TYPES_OF_FAMILY,
            project=request.args.get("project", ""),
        )
    return _form(actor, beginning, {"project": request.args.get("project", "")}, Refusal())


@create_pages.post("/services/new")
@signed_in_page(Permission.SERVICES_WRITE, Relation.NEW_IN_PROJECT)
def create(actor: Actor) -> AnyResponse:
    beginning = _beginning()
    if beginning is None:
        return redirect(url_for("create_pages.new"), 303)
    given = typed(*_PLAIN, *_LISTS, *_DAYS)

    def make() -> str:
        number = create_service(actor, _read(beginning, given)).service_id
        return url_for("service_pages.overview", service_id=number)

    try:
        address = made_once(actor, make)
    except REFUSALS as error:
        refusal = _refusal(error)
        return refusal.page(_form(actor, beginning, given, refusal))
    say(_("Created."))
    return redirect(address, 303)


@create_pages.post("/services/new/check")
@signed_in_page(Permission.SERVICES_WRITE, Relation.NONE)
def check(actor: Actor) -> str:
    """The form with what would be wrong with it; nothing is made."""
    beginning = _beginning()
    if beginning is None:
        raise NotFound(_("There is no such type of service."))
    given = typed(*_PLAIN, *_LISTS, *_DAYS)
    refusal = Refusal()
    try:
        with reading():
            check_new_service(actor, _read(beginning, given))
    except REFUSALS as error:
        refusal = _refusal(error)
    return _form(actor, beginning, given, refusal)


def _beginning() -> _Beginning | None:
    """As the address says; None where it says nothing. Raises NotFound for an unknown template."""
    template_id, type = request.args.get("template"), request.args.get("type", "")
    if template_id:
        template = get_template(template_id)
        return _Beginning(ServiceType(template.type), template)
    return _Beginning(ServiceType(type)) if type in [*ServiceType] else None


def _read(beginning: _Beginning, given: dict[str, str]) -> NewService:
    """Raises ValidationFailed."""
    fields: dict[str, Any] = {"type": beginning.type}
    if beginning.template is not None:
        fields["template"] = beginning.template.id
    for name in _PLAIN:
        if given[name].strip():
            fields[name] = given[name].strip()
    for name in _LISTS:
        # Tags have no blanks; endpoints and names of services stand on lines of their own.
        text = given[name].replace(",", " ") if name == "tags" else given[name]
        parts = text.split() if name == "tags" else text.splitlines()
        fields[name] = [each.strip() for each in parts if each.strip()]
    for name in _DAYS:
        if given[name]:
            fields[name] = f"{given[name]}T00:00:00Z"
    return NewService.from_fields(_judged(fields))


def _judged(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as the schema reads them. Raises ValidationFailed with all that is wrong."""
    problems: dict[str, list[str]] = {}
    if "name" not in fields:
        problems["name"] = [_("Give the service a name.")]
        fields = fields | {"name": "-"}
    read = fields
    try:
        read_tags(fields["tags"])
        read = read_form(ServiceCreation, fields)
    except ValidationFailed as error:
        problems |= error.details
    if problems:
        raise ValidationFailed(problems)
    return read


def _refusal(error: DomainError) -> Refusal:
    """What is wrong, by the fields of the form."""
    if isinstance(error, Forbidden):
        # Nothing else of a new service is somebody else's.
        return Refusal({"project": [error.message]}, status=STATUS_OF_CODE[error.code])
    refusal = refusal_of(error)
    return replace(refusal, problems=by_field(refusal.problems))


def _form(actor: Actor, beginning: _Beginning, given: dict[str, str], refusal: Refusal) -> str:
    with reading():
        is_new, problem = _place(actor, given.get("project", "").strip())
        return render_template(
            "services/new.html",
            actor=actor,
            beginning=beginning,
            given=given,
            once=key_of_form(),
            message=refusal.message,
            problems=({"project": [problem]} if problem else {}) | dict(refusal.problems),
            projects=writable_project_names(actor, _MOST_PROJECTS),
            is_new_project=is_new,
        )


def _place(actor: Actor, project: str) -> tuple[bool, str | None]:
    """Whether a project of this name would be made, and what stands against using it."""
    if not project or "\x00" in project:
        return False, None
    try:
        return writable_project(actor, project) is None, None
    except Forbidden as error:
        return False, error.message
