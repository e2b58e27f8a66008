"""Lists of services, as rows of plain columns: the hot read paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.compiler import compiles

from cms_services.actor import Actor
from cms_services.catalogue.access import readable_by
from cms_services.catalogue.models import Service
from cms_services.database import AnyRow, AnySelect, Moment
from cms_services.errors import ValidationFailed
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.projects.models import Project
from cms_services.vocabulary import TYPES_OF_FAMILY, Family, Status

SUBSCRIPTION_COLUMNS = (
    Service.id,
    Service.name,
    Service.service_id,
    Service.billing_id,
    Service.cluster_id,
    Service.start_date,
    Service.next_billing_date,
    Service.status,
    Service.type,
)
COMPONENT_COLUMNS = (
    Service.id,
    Service.service_id,
    Service.name,
    Service.description,
    Service.icon,
    Service.status,
    Service.type,
    Project.name.label("project_name"),
    Service.endpoints,
    Service.dependencies,
    Service.config,
    Service.created_at,
    Service.updated_at,
)
SERVICE_COLUMNS = (
    *SUBSCRIPTION_COLUMNS,
    Service.user_id,
    Project.name.label("project_name"),
    Service.description,
    Service.icon,
    Service.template,
    Service.endpoints,
    Service.dependencies,
    Service.config,
    Service.version,
    Service.cancelled_at,
    Service.created_at,
    Service.updated_at,
)


class _FarFuture(ColumnElement[datetime]):
    """Stands for "no next billing" in an order: keyset paging needs values that compare.

    A bound text would make MariaDB's COALESCE a text too.
    """

    inherit_cache = True
    type = Moment()


@compiles(_FarFuture)
def _timestamp(*_: Any, **__: Any) -> str:
    return "TIMESTAMP '9999-12-31 00:00:00'"


@compiles(_FarFuture, "sqlite")
def _text(*_: Any, **__: Any) -> str:
    return "'9999-12-31 00:00:00.000000'"


_SORT_COLUMNS: dict[str, Any] = {
    "name": Service.name,
    "type": Service.type,
    "status": Service.status,
    "startDate": Service.start_date,
    "nextBilling": func.coalesce(Service.next_billing_date, _FarFuture(), type_=Moment()),
    "createdAt": Service.created_at,
    "updatedAt": Service.updated_at,
}
SORT_NAMES = tuple(_SORT_COLUMNS)


@dataclass(frozen=True)
class ServiceFilter:
    """What narrows a list. Empty sequences and None don't narrow."""

    statuses: Sequence[str] = ()
    types: Sequence[str] = ()
    project: str | None = None
    q: str | None = None


def list_components(
    actor: Actor, wanted: ServiceFilter, limit: int | None = None, offset: int = 0
) -> Sequence[AnyRow]:
    """Components that the caller may read, newest last; cancelled ones only where asked for."""
    query = _narrowed(
        select(*COMPONENT_COLUMNS)
        .outerjoin(Project, Project.id == Service.project_id)
        .where(Service.type.in_(TYPES_OF_FAMILY[Family.COMPONENT])),
        actor,
        wanted,
    )
    if not wanted.statuses:
        query = query.where(Service.status != Status.CANCELLED)
    query = query.order_by(Service.created_at, Service.id)
    if limit is not None:
        query = query.limit(limit)
    elif offset:
        # MariaDB and SQLite know no OFFSET without LIMIT.
        query = query.limit(2**31)
    return db.session.execute(query.offset(offset) if offset else query).all()


def list_own_subscriptions(
    actor: Actor, wanted: ServiceFilter, sort: str | None, limit: int | None, cursor: str | None
) -> Page[AnyRow]:
    """The caller's own subscriptions, all of them where no limit is given."""
    query: AnySelect = select(*SUBSCRIPTION_COLUMNS).where(
        Service.user_id == actor.own_id,
        Service.type.in_(TYPES_OF_FAMILY[Family.SUBSCRIPTION]),
    )
    query = _filtered(query, wanted)
    order = sort_order(sort or "createdAt")
    if limit is None and cursor is None:
        query = query.order_by(*(k.column.desc() if k.descending else k.column for k in order))
        rows = db.session.execute(query).all()
        return Page(rows, len(rows), None)
    return paged(query, order, limit or 50, cursor)


def list_services(
    actor: Actor, wanted: ServiceFilter, sort: str | None, limit: int, cursor: str | None
) -> Page[AnyRow]:
    """Every service that the caller may read, a page at a time."""
    query = select(*SERVICE_COLUMNS).outerjoin(Project, Project.id == Service.project_id)
    query = _narrowed(query, actor, wanted)
    return paged(query, sort_order(sort or "createdAt"), limit, cursor)


def count_services(actor: Actor, wanted: ServiceFilter) -> int:
    """How many services list_services() would give over all pages."""
    query = select(func.count(Service.id)).outerjoin(Project, Project.id == Service.project_id)
    return db.session.scalar(_narrowed(query, actor, wanted)) or 0


def sort_order(sort: str) -> tuple[SortKey, ...]:
    """Read `-nextBilling,name` as an order, with the id as the last word.

    Raises ValidationFailed for an unknown name, with the known ones.
    """
    keys = []
    for part in sort.split(","):
        name = part.strip().removeprefix("-")
        if name not in _SORT_COLUMNS:
            raise ValidationFailed(
                {"sort": [f"Takes {', '.join(SORT_NAMES)}, each with a leading - to turn it."]}
            )
        keys.append(SortKey(name, _SORT_COLUMNS[name], part.strip().startswith("-")))
    return (*keys, SortKey("id", Service.id))


def _narrowed(query: AnySelect, actor: Actor, wanted: ServiceFilter) -> AnySelect:
    query = _filtered(query.where(readable_by(actor)), wanted)
    return query.where(Project.name == wanted.project) if wanted.project is not None else query


def _filtered(query: AnySelect, wanted: ServiceFilter) -> AnySelect:
    if wanted.statuses:
        query = query.where(Service.status.in_(wanted.statuses))
    if wanted.types:
        query = query.where(Service.type.in_(wanted.types))
    if wanted.q:
        needle = wanted.q.lower()
        searched = (Service.name, Service.description, Service.service_id, Service.billing_id)
        query = query.where(
            or_(*(func.lower(column).contains(needle, autoescape=True) for column in searched))
        )
    return query
