"""Creating services of either family, and changing what they are."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from cms_services.accounts.models import User
from cms_services.actor import Actor
from cms_services.catalogue.changes import note_change
from cms_services.catalogue.identifiers import (
    new_billing_id,
    new_cluster_id,
    new_service_number,
)
from cms_services.catalogue.lifecycle import (
    FAMILY_WORDS,
    require_not_cancelled,
    transition,
)
from cms_services.catalogue.models import Service
from cms_services.catalogue.tags import put_tags, read_tags
from cms_services.clock import now, to_wire
from cms_services.configuration.documents import Document, merge_patch
from cms_services.configuration.history import store_configuration
from cms_services.configuration.secrets import masked
from cms_services.configuration.shape import shaped
from cms_services.errors import Conflict, Forbidden, NotFound, ValidationFailed
from cms_services.extensions import db
from cms_services.projects.sharing import (
    project_for_new_service,
    role_in_project,
    writable_project,
)
from cms_services.scaffolds.templates import get_template
from cms_services.vocabulary import (
    DEFAULT_ICONS,
    FAMILY_OF_TYPE,
    TRANSITIONS,
    EventType,
    Family,
    ProjectRole,
    ServiceType,
    Status,
)
from cms_services.wording import listed, term, worded

# A month as billing counts it where a subscription does not say when it is billed next.
_BILLING_PERIOD = timedelta(days=30)
_PLAIN_FIELDS = (
    "name",
    "description",
    "icon",
    "endpoints",
    "dependencies",
    "billing_id",
    "cluster_id",
    "start_date",
    "next_billing_date",
)


@dataclass
class NewService:
    """What a service can be created from. None means: take the default."""

    name: str
    type: ServiceType
    project: str | None = None
    status: Status | None = None
    description: str = ""
    icon: str | None = None
    endpoints: list[str] = field(default_factory=list)
    dependencies: list[str] = field(default_factory=list)
    configuration: Document = field(default_factory=dict)
    template: str | None = None
    billing_id: str | None = None
    cluster_id: str | None = None
    start_date: datetime | None = None
    next_billing_date: datetime | None = None
    owner_id: str | None = None
    tags: list[str] = field(default_factory=list)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> "NewService":
        """From validated fields, whose words are still plain text."""
        words: dict[str, Any] = {"type": ServiceType(fields["type"])}
        if fields.get("status") is not None:
            words["status"] = Status(fields["status"])
        return cls(**(fields | words))


def create_service(actor: Actor, new: NewService) -> Service:
    """Create a service, its project where that is new, and its first configuration version.

    Raises ValidationFailed, Forbidden (a project or an owner that is not the caller's), Conflict.
    """
    family = FAMILY_OF_TYPE[new.type]
    status = _status_of(new)
    service = Service(
        user_id=_owner_of(actor, new),
        service_id=new_service_number(),
        name=new.name,
        description=new.description,
        icon=new.icon or DEFAULT_ICONS[new.type],
        type=new.type,
        status=status,
        template=new.template,
        endpoints=new.endpoints,
        dependencies=new.dependencies,
        config={},
        tag_rows=[],
    )
    put_tags(service, new.tags)
    if new.project is not None:
        service.project = project_for_new_service(actor, new.project)
    if family is Family.SUBSCRIPTION:
        service.billing_id = new.billing_id or new_billing_id()
        service.cluster_id = new.cluster_id
        if service.cluster_id is None and new.type is ServiceType.KUBERNETES:
            service.cluster_id = new_cluster_id()
    else:
        service.billing_id, service.cluster_id = new.billing_id, new.cluster_id
    service.start_date = new.start_date or now()
    service.next_billing_date = new.next_billing_date
    if service.next_billing_date is None and family is Family.SUBSCRIPTION:
        service.next_billing_date = service.start_date + _BILLING_PERIOD
    db.session.add(service)
    _flush()
    _configure(actor, service, _first_configuration(new))
    note_change(actor, service, EventType.SERVICE_CREATED, {"after": described(service)})
    return service


def check_new_service(actor: Actor, new: NewService) -> None:
    """Raise what create_service() would, but for what the configuration holds; make nothing."""
    _status_of(new)
    _owner_of(actor, new)
    read_tags(new.tags)
    if new.template is not None:
        _template_configuration(new.template)
    if new.project is not None:
        writable_project(actor, new.project)


def update_service(actor: Actor, service: Service, changes: dict[str, Any]) -> Service:
    """Change a loaded service's fields, status and configuration (replaced whole) in one step.

    Raises ValidationFailed, InvalidTransition, Conflict for a cancelled service, Forbidden for a
    project that is not the caller's.
    """
    changes = dict(changes)
    status = changes.pop("status", None)
    if status is not None:
        transition(actor, service, Status(status))
    if not changes:
        return service
    require_not_cancelled(service)
    before = described(service)
    if "type" in changes:
        _change_type(service, ServiceType(changes["type"]))
    if "project" in changes and changes["project"] != service.project_name:
        _move(actor, service, changes["project"])
    if "template" in changes:
        if changes["template"] is not None:
            _template_configuration(changes["template"])
        service.template = changes["template"]
    for name in _PLAIN_FIELDS:
        if name in changes:
            setattr(service, name, changes[name])
    if "tags" in changes:
        put_tags(service, changes["tags"])
    if "configuration" in changes:
        _configure(actor, service, changes["configuration"])
    _flush()
    after = described(service)
    if after != before:
        changed = [name for name in after if after[name] != before[name]]
        note_change(
            actor,
            service,
            EventType.SERVICE_UPDATED,
            {
                "before": {name: before[name] for name in changed},
                "after": {name: after[name] for name in changed},
            },
        )
    return service


def _status_of(new: NewService) -> Status:
    family = FAMILY_OF_TYPE[new.type]
    status = new.status or Status.ACTIVE
    if status is Status.CANCELLED or status not in TRANSITIONS[family]:
        possible = [s for s in TRANSITIONS[family] if s is not Status.CANCELLED]
        raise ValidationFailed(
            {
                "status": [
                    worded(
                        "A new %(family)s takes %(choices)s.",
                        family=FAMILY_WORDS[family],
                        choices=listed(map(term, possible)),
                    )
                ]
            }
        )
    return status


def _owner_of(actor: Actor, new: NewService) -> str:
    if new.owner_id is None or new.owner_id == actor.user_id:
        return actor.own_id
    if not actor.is_admin:
        raise Forbidden(worded("Only an admin can create a service for somebody else."))
    if db.session.get(User, new.owner_id) is None:
        raise ValidationFailed({"ownerId": [worded("There is no such user.")]})
    return new.owner_id


def may_move(actor: Actor, service: Service) -> bool:
    """Whether the caller may put a service elsewhere, which its editors could steal it by."""
    is_owner = role_in_project(actor, service.project_id) is ProjectRole.OWNER
    return is_owner or service.user_id == actor.own_id


def _move(actor: Actor, service: Service, project: str | None) -> None:
    """Put a service into another project or none.

    Raises Forbidden for who may not, and for a project that is not the caller's.
    """
    if not may_move(actor, service):
        raise Forbidden(worded("Moving a service takes its owner, or an owner of its project."))
    service.project = project_for_new_service(actor, project) if project is not None else None


def _change_type(service: Service, to: ServiceType) -> None:
    if FAMILY_OF_TYPE[to] is not service.family:
        raise ValidationFailed(
            {
                "type": [
                    worded(
                        "This service is a %(family)s and stays one.",
                        family=FAMILY_WORDS[service.family],
                    )
                ]
            }
        )
    if service.icon == DEFAULT_ICONS[ServiceType(service.type)]:
        service.icon = DEFAULT_ICONS[to]
    service.type = to


def _first_configuration(new: NewService) -> Document:
    if new.template is None:
        return new.configuration
    template = _template_configuration(new.template)
    given = shaped(FAMILY_OF_TYPE[new.type], new.configuration, like=template)
    merged: Document = merge_patch(template, given)
    return merged


def _configure(actor: Actor, service: Service, document: Document) -> None:
    """Store a configuration that came within a service, as the paths of what is wrong tell."""
    try:
        store_configuration(actor, service, document)
    except ValidationFailed as error:
        raise ValidationFailed(
            {
                path if path == "configuration" else f"configuration.{path}": messages
                for path, messages in error.details.items()
            }
        ) from error


def _template_configuration(template_id: str) -> Document:
    try:
        return get_template(template_id).configuration
    except NotFound as error:
        raise ValidationFailed({"template": [error.message]}) from error


def _flush() -> None:
    try:
        db.session.flush()
    except IntegrityError as error:
        raise Conflict(
            worded("Another service has this identifier; send the request again.")
        ) from error


def described(service: Service) -> dict[str, Any]:
    """What the audit trail keeps of a service: everything of it but secrets."""
    shown: dict[str, Any] = {name: getattr(service, name) for name in _PLAIN_FIELDS}
    for name in ("start_date", "next_billing_date"):
        shown[name] = to_wire(shown[name]) if shown[name] else None
    return shown | {
        "type": service.type,
        "status": service.status,
        "project": service.project_name,
        "template": service.template,
        "tags": service.tags,
        "configuration": masked(service.config),
    }
