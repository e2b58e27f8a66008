"""What a project shows of its services to everybody: its owner's choice."""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint, delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.database import IDENTIFIER, WORD, AnyRow, Moment, state_tag
from cms_services.errors import Conflict, ValidationFailed
from cms_services.events.outbox import emit
from cms_services.extensions import Model, db
from cms_services.projects.models import Project
from cms_services.vocabulary import EventType, Status
from cms_services.wording import worded

MOST_SHOWN = 100
# What stands in an address: of the page, and of a service on it.
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
LONGEST_SLUG = 64
_NO_SLUG = re.compile(r"[^a-z0-9]+")


class StatusPage(Model):
    """A project's public page, on or off."""

    __tablename__ = "status_pages"

    project_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    slug: Mapped[str | None] = mapped_column(WORD, unique=True)
    title: Mapped[str] = mapped_column(IDENTIFIER)
    is_on: Mapped[bool] = mapped_column()
    updated_at: Mapped[datetime] = mapped_column(Moment, default=now)


class StatusPageService(Model):
    """A service on a public page, under the name that the page's owner chose."""

    __tablename__ = "status_page_services"

    project_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("status_pages.project_id", ondelete="CASCADE"), primary_key=True
    )
    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    # What names it in addresses of badges.
    key: Mapped[str] = mapped_column("badge_key", WORD)
    name: Mapped[str] = mapped_column(IDENTIFIER)
    position: Mapped[int] = mapped_column()

    __table_args__ = (UniqueConstraint("project_id", "badge_key"),)


@dataclass(frozen=True)
class ShownService:
    """A service by its public number, and how it is called on the page."""

    service_id: str
    name: str
    key: str | None = None


@dataclass(frozen=True)
class Settings:
    """All that an owner chooses. Of a project without a page it says what the page would be."""

    enabled: bool
    slug: str | None
    title: str
    services: Sequence[ShownService]
    entity_tag: str = "none"

    def to_document(self) -> dict[str, Any]:
        return {
            "enabled": self.enabled,
            "slug": self.slug,
            "title": self.title,
            "services": {each.service_id: each.name for each in self.services},
        }


def is_slug(text: str) -> bool:
    """Whether a text can stand in the address of a page, or of a service on it."""
    return len(text) <= LONGEST_SLUG and SLUG.match(text) is not None


def settings_of(project: Project) -> Settings:
    """The settings of a project's page; the caller has loaded the project, and so may see it."""
    page = db.session.get(StatusPage, project.id)
    if page is None:
        return Settings(False, None, project.name, ())
    shown = StatusPageService
    rows = db.session.execute(
        select(Service.service_id, shown.name, shown.key)
        .join(Service, Service.id == shown.service_id)
        .where(shown.project_id == project.id, *_still_of(project.id))
        .order_by(shown.position)
    )
    services = [ShownService(*row) for row in rows]
    return Settings(page.is_on, page.slug, page.title, services, state_tag(page.updated_at))


def services_to_show(project: Project) -> Sequence[AnyRow]:
    """The services that a page of the project could show, by name: service_id, name and type."""
    return db.session.execute(
        select(Service.service_id, Service.name, Service.type)
        .where(*_still_of(project.id))
        .order_by(Service.name, Service.id)
    ).all()


def change_settings(actor: Actor, project: Project, wanted: Settings) -> Settings:
    """Set up a project's page; the caller has loaded the project for a change as its owner.

    A service without a key keeps the one it has, or gets one made of its name.
    Raises ValidationFailed, and Conflict for a slug that another page has.
    """
    ids = _judged(project, wanted)
    before = settings_of(project)
    page = db.session.get(StatusPage, project.id)
    if page is None:
        page = StatusPage(project_id=project.id)
        db.session.add(page)
    page.is_on, page.slug, page.title = wanted.enabled, wanted.slug, wanted.title
    page.updated_at = now()
    try:
        db.session.flush()
    except IntegrityError as error:
        raise Conflict(worded("Another page has this address."), {"slug": wanted.slug}) from error
    kept = {each.service_id: each.key for each in before.services}
    db.session.execute(delete(StatusPageService).where(StatusPageService.project_id == project.id))
    keys = _keys(wanted.services, kept)
    db.session.add_all(
        StatusPageService(
            project_id=project.id,
            service_id=ids[each.service_id],
            key=key,
            name=each.name,
            position=position,
        )
        for position, (each, key) in enumerate(zip(wanted.services, keys, strict=True))
    )
    db.session.flush()
    after = settings_of(project)
    event = EventType.PROJECT_STATUS_PAGE_CHANGED
    changes = {"before": before.to_document(), "after": after.to_document()}
    record(actor, event, "project", project.id, actor.user_id, changes)
    emit(event, project.id, actor.user_id, {"id": project.id, "name": project.name})
    return after


def _judged(project: Project, wanted: Settings) -> dict[str, str]:
    """The row ids of the services, by what names them. Raises ValidationFailed."""
    problems: dict[str, list[str]] = {}
    if wanted.slug is not None and not is_slug(wanted.slug):
        problems["slug"] = [
            worded("Takes 1 to 64 small letters and digits, with single - in between.")
        ]
    if wanted.enabled and wanted.slug is None:
        problems["slug"] = [worded("A page that is on needs an address.")]
    if wanted.enabled and not wanted.services:
        problems["services"] = [worded("Choose at least one service.")]
    if len(wanted.services) > MOST_SHOWN:
        problems["services"] = [worded("A page shows at most %(most)s services.", most=MOST_SHOWN)]
    if "services" in problems:
        raise ValidationFailed(problems)
    named = {each.service_id for each in wanted.services}
    rows = db.session.execute(
        select(Service.id, Service.service_id).where(
            *_still_of(project.id), or_(Service.service_id.in_(named), Service.id.in_(named))
        )
    ).all()
    ids = {row.id: row.id for row in rows} | {row.service_id: row.id for row in rows}
    used: set[str] = set()
    keys: set[str] = set()
    for position, each in enumerate(wanted.services):
        place = f"services.{position}"
        id = ids.get(each.service_id)
        if id is None:
            problems[f"{place}.serviceId"] = [worded("The project has no such service.")]
        elif id in used:
            problems[f"{place}.serviceId"] = [worded("Is there twice.")]
        elif each.key is not None and not is_slug(each.key):
            problems[f"{place}.key"] = [
                worded("Takes small letters and digits, with single - in between.")
            ]
        elif each.key in keys:
            problems[f"{place}.key"] = [worded("Another service has this key.")]
        used.add(id or "")
        keys |= {each.key} if each.key else set()
    if problems:
        raise ValidationFailed(problems)
    return ids


def _keys(services: Sequence[ShownService], kept: dict[str, str | None]) -> Iterator[str]:
    """The key of each service: its own, the one it had, or a new one of its name."""
    taken = {each.key for each in services if each.key}
    for each in services:
        key = each.key or kept.get(each.service_id)
        if key is None or (each.key is None and key in taken):
            key = _free(each.name, taken)
        taken.add(key)
        yield key


def _free(name: str, taken: Container[str]) -> str:
    base = _NO_SLUG.sub("-", name.lower()).strip("-")[: LONGEST_SLUG - 5].strip("-") or "service"
    number, key = 1, base
    while key in taken:
        number += 1
        key = f"{base}-{number}"
    return key


def _still_of(project_id: str) -> tuple[Any, ...]:
    """That a service belongs to a project, and lives."""
    return Service.project_id == project_id, Service.status != Status.CANCELLED
