"""Lists of services, as rows of plain columns: the hot read paths.

The statements are built once for each shape of filter and carry parameters, since building one
costs more than running it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Text,
    TypeDecorator,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles

from cms_services.actor import Actor
from cms_services.catalogue.access import READABLE
from cms_services.catalogue.models import Service, ServiceTag
from cms_services.database import AnyRow, AnySelect, Moment, lean
from cms_services.errors import ValidationFailed
from cms_services.extensions import reader
from cms_services.keyset import Page, SortKey, paged
from cms_services.projects.models import Project
from cms_services.vocabulary import TYPES_OF_FAMILY, Family, Status
from cms_services.wording import worded

_service = Service.__table__.c
_project = Project.__table__.c
_tag = ServiceTag.__table__.c


class _Tags(TypeDecorator[list[str]]):
    """Tags, which hold no comma, joined by commas."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[str]:
        return sorted(value.split(",")) if value else []


_TAGS = (
    select(func.aggregate_strings(_tag.tag, ","))
    .where(_tag.service_id == _service.id)
    .correlate(Service.__table__)
    .scalar_subquery()
)
_NAMED = {
    "project_name": _project.name.label("project_name"),
    "tags": type_coerce(_TAGS, _Tags()).label("tags"),
}


def _columns(names: str) -> tuple[ColumnElement[Any], ...]:
    return tuple(_NAMED[name] if name in _NAMED else lean(_service[name]) for name in names.split())


SUBSCRIPTION_COLUMNS = _columns(
    "id name service_id billing_id cluster_id start_date next_billing_date status type"
)
COMPONENT_COLUMNS = _columns(
    "id service_id name description icon status type project_name endpoints dependencies config"
    " created_at updated_at"
)
SERVICE_COLUMNS = SUBSCRIPTION_COLUMNS + _columns(
    "user_id project_name description icon template endpoints dependencies tags config version"
    " cancelled_at created_at updated_at"
)
_COUNT = (func.count(_service.id),)
_COUNT_BY_TYPE = (_service.type, func.count(_service.id).label("services"))


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


_SORT_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": _service.name,
    "type": _service.type,
    "status": _service.status,
    "startDate": _service.start_date,
    "nextBilling": func.coalesce(_service.next_billing_date, _FarFuture(), type_=Moment()),
    "createdAt": _service.created_at,
    "updatedAt": _service.updated_at,
}
_OLDEST_FIRST = "createdAt"
SORT_NAMES = tuple(_SORT_COLUMNS)


def _of_family(family: Family) -> ColumnElement[bool]:
    # Written out, since a list of parameters is expanded anew at each execution.
    return _service.type.in_([literal_column(f"'{each}'") for each in TYPES_OF_FAMILY[family]])


_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "component": _of_family(Family.COMPONENT),
    "subscription": _of_family(Family.SUBSCRIPTION),
    "alive": _service.status != literal_column(f"'{Status.CANCELLED}'"),
    "own": _service.user_id == bindparam("own"),
    "readable": READABLE,
    "statuses": _service.status.in_(bindparam("statuses", expanding=True)),
    "types": _service.type.in_(bindparam("types", expanding=True)),
    "project": _project.name == bindparam("project"),
    "tag": _service.id.in_(select(_tag.service_id).where(_tag.tag == bindparam("tag"))),
    "needle": or_(
        *(
            func.lower(_service[name]).like(bindparam("needle"), escape="/")
            for name in ("name", "description", "service_id", "billing_id")
        )
    ),
}


@dataclass(frozen=True)
class Narrowing:
    """A condition on services from above the catalogue, with the values of its parameters.

    One that is made once, such as a module's, keeps the statements that it stands in.
    """

    condition: ColumnElement[bool]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class ServiceFilter:
    """What narrows a list. Empty sequences and None don't narrow."""

    statuses: Sequence[str] = ()
    types: Sequence[str] = ()
    project: str | None = None
    tag: str | None = None
    q: str | None = None
    also: Narrowing | None = None


def list_components(
    actor: Actor, wanted: ServiceFilter, limit: int | None = None, offset: int = 0
) -> Sequence[AnyRow]:
    """Components that the caller may read, newest last; cancelled ones only where asked for."""
    values = _values(actor, wanted)
    fixed = {"component"} if wanted.statuses else {"component", "alive"}
    query = _statement(COMPONENT_COLUMNS, frozenset(fixed.union(values)), _OLDEST_FIRST)
    if limit is not None or offset:
        # MariaDB and SQLite know no OFFSET without LIMIT.
        query = query.limit(limit if limit is not None else 2**31).offset(offset)
    return _rows(query, values)


def list_own_subscriptions(
    actor: Actor, wanted: ServiceFilter, sort: str | None, limit: int | None, cursor: str | None
) -> Page[AnyRow]:
    """The caller's own subscriptions, all of them where no limit is given."""
    values = _values(actor, wanted) | {"own": actor.own_id}
    values.pop("readable", None)
    conditions = frozenset({"subscription", *values})
    if limit is None and cursor is None:
        rows = _rows(_statement(SUBSCRIPTION_COLUMNS, conditions, sort or _OLDEST_FIRST), values)
        return Page(rows, len(rows), None)
    query = _statement(SUBSCRIPTION_COLUMNS, conditions, None).params(values)
    return paged(query, sort_order(sort), limit or 50, cursor)


def list_services(
    actor: Actor,
    wanted: ServiceFilter,
    sort: str | None,
    limit: int,
    cursor: str | None,
    *,
    is_before: bool = False,
) -> Page[AnyRow]:
    """Every service that the caller may read, a page at a time; see paged()."""
    query, values = _narrowed(actor, wanted, SERVICE_COLUMNS)
    order = sort_order(sort)
    return paged(query.params(values), order, limit, cursor, is_before=is_before)


def count_services(actor: Actor, wanted: ServiceFilter) -> int:
    """How many services list_services() would give over all pages."""
    query, values = _narrowed(actor, wanted, _COUNT)
    return reader().execute(query, values).scalar() or 0


def count_by_type(actor: Actor, wanted: ServiceFilter) -> dict[str, int]:
    """How many services there are of each type, as the rest of the filter narrows them."""
    query, values = _narrowed(actor, replace(wanted, types=()), _COUNT_BY_TYPE)
    counted = reader().execute(query.group_by(_service.type), values)
    return {row.type: row.services for row in counted}


def count_by_project(project_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many services projects have in each status, by the projects; none are left out."""
    query = (
        select(_service.project_id, _service.status, func.count(_service.id))
        .where(_service.project_id.in_(project_ids))
        .group_by(_service.project_id, _service.status)
    )
    counts: dict[str, dict[str, int]] = {project_id: {} for project_id in project_ids}
    for project_id, status, count in reader().execute(query):
        counts[project_id][status] = count
    return counts


def sort_order(sort: str | None) -> tuple[SortKey, ...]:
    """Read `-nextBilling,name` as an order, with the id as the last word; default: oldest first.

    Raises ValidationFailed for an unknown name, with the known ones.
    """
    keys = []
    for part in (sort or _OLDEST_FIRST).split(","):
        name = part.strip().removeprefix("-")
        if name not in _SORT_COLUMNS:
            raise ValidationFailed(
                {
                    "sort": [
                        worded(
                            "Takes %(choices)s, each with a leading - to turn it.",
                            choices=", ".join(SORT_NAMES),
                        )
                    ]
                }
            )
        keys.append(SortKey(name, _SORT_COLUMNS[name], part.strip().startswith("-")))
    return (*keys, SortKey("id", _service.id))


@lru_cache(maxsize=256)
def _statement(
    columns: tuple[ColumnElement[Any], ...],
    conditions: frozenset[str],
    sort: str | None,
    also: ColumnElement[bool] | None = None,
) -> AnySelect:
    """Select columns under named conditions, whose parameters have the same names."""
    query = (
        select(*columns)
        .select_from(Service.__table__)
        .outerjoin(Project.__table__, _project.id == _service.project_id)
        .where(*(_CONDITIONS[name] for name in sorted(conditions)))
    )
    if also is not None:
        query = query.where(also)
    if sort is None:
        return query
    keys = sort_order(sort)
    return query.order_by(*(k.column.desc() if k.descending else k.column.asc() for k in keys))


def _narrowed(
    actor: Actor, wanted: ServiceFilter, columns: tuple[ColumnElement[Any], ...]
) -> tuple[AnySelect, dict[str, Any]]:
    """The statement for a filter, and the values of its parameters."""
    values = _values(actor, wanted)
    if wanted.also is None:
        return _statement(columns, frozenset(values), None), values
    query = _statement(columns, frozenset(values), None, wanted.also.condition)
    return query, {**values, **wanted.also.values}


def _rows(query: AnySelect, values: Mapping[str, Any]) -> Sequence[AnyRow]:
    return reader().execute(query, values).all()


def _values(actor: Actor, wanted: ServiceFilter) -> dict[str, Any]:
    """The conditions that hold for this caller and filter, by name, with their parameters."""
    values: dict[str, Any] = {} if actor.is_admin else {"readable": actor.own_id}
    if wanted.statuses:
        values["statuses"] = wanted.statuses
    if wanted.types:
        values["types"] = wanted.types
    if wanted.project is not None:
        values["project"] = wanted.project
    if wanted.tag is not None:
        values["tag"] = wanted.tag.lower()
    if wanted.q:
        values["needle"] = f"%{_escaped(wanted.q.lower())}%"
    return values


def _escaped(text: str) -> str:
    for special in "/%_":
        text = text.replace(special, f"/{special}")
    return text
