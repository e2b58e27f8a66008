"""Services of an old database, brought here with their ids and configurations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from cms_services.accounts.models import User
from cms_services.actor import Actor
from cms_services.catalogue.changes import note_change
from cms_services.catalogue.lifecycle import transition
from cms_services.catalogue.models import Service, ServiceTag
from cms_services.catalogue.tags import MOST_TAGS, put_tags, read_tags
from cms_services.clock import now
from cms_services.configuration.documents import Document, Opened
from cms_services.configuration.history import store_configuration
from cms_services.configuration.paths import KEPT, Path, mapped
from cms_services.configuration.references import REFERENCE
from cms_services.configuration.secrets import opened, sealed
from cms_services.configuration.shape import EXTRA, require_valid, shaped_leniently
from cms_services.encryption import current_vault
from cms_services.errors import ServiceConfigError, ValidationFailed
from cms_services.extensions import db
from cms_services.importing import conversion
from cms_services.importing.conversion import Reading, Refused
from cms_services.importing.mapping import EntityMapping
from cms_services.importing.models import ImportedRow
from cms_services.importing.source import Row
from cms_services.importing.stores import (
    IMPORTER,
    PROJECTS,
    SERVICES,
    Known,
    Prepared,
    Values,
    rows_here,
)
from cms_services.projects.sharing import create_project
from cms_services.provisioning.services import described
from cms_services.vocabulary import (
    DEFAULT_ICONS,
    EVENT_OF_STATUS,
    FAMILY_OF_TYPE,
    SUSPENDED_STATUS,
    TRANSITIONS,
    EventType,
    Family,
    Role,
    ServiceType,
    Status,
)

# Columns of ours that come from a field of another name.
_UNSEEN = ("updated_at", "cancelled_at")
# What imported_rows calls projects that are known by their names alone.
_PROJECT_NAMES = "project names"
_NOT_IN_TAGS = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class ServiceStore:
    source: str
    mapping: EntityMapping
    known: Known
    repair: bool

    def prepared(self, values: Values, row: Row, notes: list[str]) -> Prepared:
        service_id = values.pop("id")
        values["user_id"] = self._owner(values.pop("owner_id", None))
        values["service_id"] = values.get("service_id") or service_id
        values["project_id"] = self._project(values, notes)
        kind = ServiceType(values["type"])
        family = FAMILY_OF_TYPE[kind]
        if values.pop("deleted", None):
            values["status"] = Status.CANCELLED
        values["status"] = _fitting_status(family, values.get("status"), notes)
        values["icon"] = values.get("icon") or DEFAULT_ICONS[kind]
        values["description"] = values.get("description") or ""
        for name in ("endpoints", "dependencies"):
            if name in values:
                values[name] = values[name] or []
        if "tags" in values:
            values["tags"] = _fitting_tags(values["tags"] or [], notes)
        start = values.get("start_date") or values.get("created_at")
        if start is not None:
            values["start_date"] = start
        if "config" in values or self.mapping.keep:
            given = (values.get("config") or {}) | self._kept(row)
            values["config"] = _fitting_configuration(service_id, family, given, notes)
        compared = {
            name: value
            for name, value in values.items()
            if name not in _UNSEEN
            and (value is not None or name not in ("created_at", "start_date"))
        }
        unseen = {name: values[name] for name in _UNSEEN if values.get(name) is not None}
        if "updated_at" not in unseen and values.get("created_at") is not None:
            unseen["updated_at"] = values["created_at"]
        return Prepared(service_id, compared, unseen, tuple(notes))

    def here(self, wanted: Mapping[str, Values]) -> dict[str, Values]:
        names = sorted({name for values in wanted.values() for name in values})
        found = rows_here(SERVICES, wanted, [name for name in names if name != "tags"])
        if "tags" in names:
            for values in found.values():
                values["tags"] = []
            query = select(ServiceTag.service_id, ServiceTag.tag)
            query = query.where(ServiceTag.service_id.in_(found)).order_by(ServiceTag.tag)
            for service_id, tag in db.session.execute(query):
                found[service_id]["tags"].append(tag)
        if "config" in names:
            for service_id, values in found.items():
                values["config"] = _opened(service_id, values["config"])
        return found

    def create(self, new: Prepared) -> None:
        values: Values = {"start_date": now()} | new.values
        configuration, tags = values.pop("config", {}), values.pop("tags", [])
        same_number = select(SERVICES.c.id).where(SERVICES.c.service_id == values["service_id"])
        if other := db.session.scalar(same_number):
            raise Refused(f"service_id: {values['service_id']} is that of the service {other}.")
        service = Service(id=new.target_id, config={}, tag_rows=[], **values, **new.unseen)
        if service.status == Status.CANCELLED and service.cancelled_at is None:
            service.cancelled_at = now()
        put_tags(service, tags)
        db.session.add(service)
        db.session.flush()
        store_configuration(IMPORTER, service, configuration)
        _keep_time(service, new.unseen)
        note_change(IMPORTER, service, EventType.SERVICE_CREATED, {"after": described(service)})

    def change(self, target_id: str, changes: Values, unseen: Values) -> None:
        service = db.session.get_one(Service, target_id, with_for_update={"of": Service})
        before, was = described(service), Status(service.status)
        changes = dict(changes)
        configuration, tags = changes.pop("config", None), changes.pop("tags", None)
        for name, value in (changes | unseen).items():
            setattr(service, name, value)
        if service.status != was:
            ended = service.status == Status.CANCELLED
            service.cancelled_at = (unseen.get("cancelled_at") or now()) if ended else None
        if tags is not None:
            put_tags(service, tags)
        db.session.flush()
        if "project_id" in changes:
            db.session.refresh(service, ["project"])
        if configuration is not None:
            # The old database knows nothing of who takes values here.
            store_configuration(IMPORTER, service, configuration, allow_breaking=True)
        _keep_time(service, unseen)
        _note(service, before, was)

    def is_renewed(self, target_id: str, name: str) -> bool:
        return False

    def end(self, target_id: str) -> bool:
        service = db.session.get(Service, target_id, with_for_update={"of": Service})
        if service is None or service.status == Status.CANCELLED:
            return False
        transition(IMPORTER, service, Status.CANCELLED, "It is gone from the old database.")
        db.session.flush()
        return True

    def _owner(self, old_id: str | None) -> str:
        found = self.known.user(old_id) or self.known.user(self.mapping.owner)
        if found is not None:
            return found
        told = "It has no owner" if old_id is None else f"There is no account {old_id} here"
        raise Refused(f"owner_id: {told}; the mapping may name an `owner` for such services.")

    def _project(self, values: Values, notes: list[str]) -> str | None:
        project_id, name = values.pop("project_id", None), values.pop("project", None)
        if project_id is not None:
            if self.known.has_project(project_id):
                return str(project_id)
            notes.append(f"project_id: there is no project {project_id} here; it is in none.")
            return None
        if not name:
            return None
        taken = db.session.get(ImportedRow, (self.source, _PROJECT_NAMES, name))
        if taken is not None:
            # Whatever it is called by now; one that was removed here does not come back.
            return taken.target_id if self.known.has_project(taken.target_id) else None
        found = db.session.scalar(select(PROJECTS.c.id).where(PROJECTS.c.name == name))
        if found is None:
            # As createService makes it, for whom its first service belongs to.
            owner = db.session.get_one(User, values["user_id"])
            maker = Actor(user_id=owner.id, role=Role(owner.role), name=owner.name)
            found = create_project(maker, name).id
        db.session.add(
            ImportedRow(
                source=self.source,
                entity=_PROJECT_NAMES,
                source_key=name,
                target_id=str(found),
                digests={},
            )
        )
        return str(found)

    def _kept(self, row: Row) -> Document:
        how = Reading(repair=self.repair)
        kept = {name: _kept_value(row[name], how) for name in self.mapping.keep}
        kept = {name: value for name, value in kept.items() if value is not None}
        return {EXTRA: kept} if kept else {}


def _fitting_status(family: Family, given: str | None, notes: list[str]) -> str:
    status = Status(given or Status.ACTIVE)
    if status in TRANSITIONS[family]:
        return status.value
    if status in SUSPENDED_STATUS.values():
        return SUSPENDED_STATUS[family].value
    notes.append(f"status: a {family} is never in {status}; it is active here.")
    return Status.ACTIVE.value


def _fitting_tags(given: list[str], notes: list[str]) -> list[str]:
    spelled = [_NOT_IN_TAGS.sub("-", each.strip()).strip("-") for each in given]
    tags: list[str] = []
    for each in spelled:
        try:
            tags = read_tags([*tags, each]) if each else tags
        except ValidationFailed:
            notes.append(f"tags: {each!r} is too long for one, or the {MOST_TAGS} are full.")
    return tags


def _fitting_configuration(
    service_id: str, family: Family, given: Document, notes: list[str]
) -> Document:
    """The document in our shape. What is wrong in it is kept under `extra`, where nothing is."""
    document = shaped_leniently(family, _without_references(given))
    for _ in range(len(document) + 1):
        try:
            require_valid(family, document)
            return _opened(service_id, sealed(document, {}, service_id, current_vault()))
        except ValidationFailed as error:
            wrong = {path.split(".")[0] for path in error.details} & document.keys() - {EXTRA}
            told = "; ".join(f"{path}: {why[0]}" for path, why in list(error.details.items())[:3])
            if not wrong:
                raise Refused(f"config: {told}") from error
            notes.append(f"config: {told} ({', '.join(sorted(wrong))} stands under extra)")
            moved = {name: document.pop(name) for name in wrong}
            document[EXTRA] = (document.get(EXTRA) or {}) | moved
    raise Refused("config: can't be brought into our shape.")


def _without_references(given: Document) -> Document:
    """Our references were plain texts there, and stay so."""
    environment = given.get("environment")
    if not isinstance(environment, dict):
        return given

    def escaped(value: Any) -> Any:
        return REFERENCE.sub(r"$\g<0>", value) if isinstance(value, str) else value

    return given | {"environment": {name: escaped(each) for name, each in environment.items()}}


def _opened(service_id: str, stored: Any) -> Document:
    """A stored document with its secrets in the form in which they would be sent again."""
    if not isinstance(stored, dict):
        return {}
    try:
        document: Document = mapped(opened(stored, service_id, current_vault()), _as_sent)
    except ServiceConfigError:
        return stored
    return document


def _as_sent(path: Path, value: Any) -> Any:
    if isinstance(value, Opened):
        return {"value": str(value), "secret": True}
    if isinstance(value, dict) and isinstance(value.get("value"), Opened):
        return value | {"value": str(value["value"])}
    return KEPT


def _kept_value(value: Any, how: Reading) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Decimal | timedelta | float):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return conversion.long_text(value, how, EXTRA)


def _keep_time(service: Service, unseen: Values) -> None:
    """Last of all, since storing a configuration is a change of now."""
    if "updated_at" in unseen:
        service.updated_at = unseen["updated_at"]
        db.session.flush()


def _note(service: Service, before: dict[str, Any], was: Status) -> None:
    after = described(service)
    changed = [name for name in after if after[name] != before[name] and name != "status"]
    if service.status != was:
        event = EVENT_OF_STATUS[Status(service.status)]
        if was is Status.CANCELLED:
            event = EventType.SERVICE_RESTORED
        told = {"before": {"status": was}, "after": {"status": service.status}}
        note_change(IMPORTER, service, event, told)
    if changed:
        told = {
            "before": {name: before[name] for name in changed},
            "after": {name: after[name] for name in changed},
        }
        note_change(IMPORTER, service, EventType.SERVICE_UPDATED, told)
