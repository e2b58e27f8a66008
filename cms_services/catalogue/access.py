"""The one way to a service: load it and check the caller's right in a single step."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Select, bindparam, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from cms_services.actor import Actor
from cms_services.catalogue.models import Service
from cms_services.database import AnyRow
from cms_services.errors import Forbidden, ServiceNotFound
from cms_services.extensions import db
from cms_services.projects.models import Project, ProjectMember
from cms_services.vocabulary import PROJECT_WRITERS, ServiceType, Status
from cms_services.wording import worded

# The services that the account in the parameter `readable` may read: own ones and shared ones.
# load_service() asks the same of one service.
READABLE: ColumnElement[bool] = or_(
    Service.__table__.c.user_id == bindparam("readable"),
    Service.__table__.c.project_id.in_(
        select(ProjectMember.__table__.c.project_id).where(
            ProjectMember.__table__.c.user_id == bindparam("readable")
        )
    ),
)

_CHANGEABLE: ColumnElement[bool] = or_(
    Service.__table__.c.user_id == bindparam("changeable"),
    Service.__table__.c.project_id.in_(
        select(ProjectMember.__table__.c.project_id).where(
            ProjectMember.__table__.c.user_id == bindparam("changeable"),
            ProjectMember.__table__.c.role.in_(PROJECT_WRITERS),
        )
    ),
)


def load_service(
    actor: Actor,
    identifier: str,
    *,
    for_change: bool = False,
    lock: bool = True,
    with_tags: bool = False,
) -> Service:
    """The service with this id or serviceId, which the caller may read (or change).

    For a change the row is locked until the transaction ends, unless `lock` is off because only
    rows beside it are written. `with_tags` reads those of the same moment. Where imported numbers
    make the two kinds of identifier collide, the public serviceId wins.
    Raises ServiceNotFound, or Forbidden for somebody else's.
    """
    query = select(Service).where(or_(Service.service_id == identifier, Service.id == identifier))
    if with_tags:
        # Loaded when they are asked for, they might be newer than the row.
        query = query.options(joinedload(Service.tag_rows))
    return _authorised(actor, query, identifier, for_change, lock)


def load_service_by(actor: Actor, column: str, value: str, service_type: ServiceType) -> Service:
    """The service of a type by its `billing_id` or `cluster_id`, or as load_service() finds it.

    Where several share the number, as one bill may cover several plans, the oldest of the caller's
    own, else of those that it may read; cancelled ones don't count. Raises ServiceNotFound, or
    Forbidden where all are somebody else's.
    """
    numbered = getattr(Service, column) == value
    query = select(Service).where(
        or_(numbered, Service.service_id == value, Service.id == value),
        Service.type == service_type,
        Service.status != Status.CANCELLED,
    )
    # The public number names one service alone.
    first = (Service.service_id == value).desc(), (Service.user_id == actor.user_id).desc()
    return _authorised(actor, query.order_by(*first), value, for_change=False, lock=False)


def load_row(actor: Actor, row_id: str, *, for_change: bool = False) -> Service:
    """The service with this very id, which no serviceId can be mistaken for; not locked.

    Raises as load_service() does.
    """
    query = select(Service).where(Service.id == row_id)
    return _authorised(actor, query, row_id, for_change, lock=False)


def readable_among(actor: Actor, ids: Collection[str]) -> dict[str, str]:
    """Of services by their ids those that the caller may read, with their serviceIds."""
    return {row.id: row.service_id for row in names_among(actor, ids)}


def changeable_among(actor: Actor, ids: Collection[str]) -> set[str]:
    """Of services by their ids those that the caller may change, as load_service() judges it."""
    if actor.is_admin:
        return set(ids)
    table = Service.__table__.c
    query = select(table.id).where(table.id.in_(ids), _CHANGEABLE)
    return set(db.session.scalars(query, {"changeable": actor.own_id}))


def names_among(actor: Actor, ids: Collection[str]) -> Sequence[AnyRow]:
    """Of services by their ids those that the caller may read: id, service_id and name."""
    table = Service.__table__.c
    query = select(table.id, table.service_id, table.name).where(table.id.in_(ids))
    if actor.is_admin:
        return db.session.execute(query).all()
    return db.session.execute(query.where(READABLE), {"readable": actor.own_id}).all()


def _authorised(
    actor: Actor, query: Select[Service], identifier: str, for_change: bool, lock: bool
) -> Service:
    if "\x00" in identifier or len(identifier) > 255:
        raise ServiceNotFound(identifier)
    if actor.service_id is not None:
        return _own_service(query, identifier, actor.service_id)
    with_role = (
        query.add_columns(ProjectMember.role)
        .outerjoin(Project, Project.id == Service.project_id)
        .outerjoin(
            ProjectMember,
            (ProjectMember.project_id == Service.project_id)
            & (ProjectMember.user_id == actor.own_id),
        )
        .options(contains_eager(Service.project))
        .order_by((Service.service_id == identifier).desc(), Service.created_at, Service.id)
    )
    with_role = with_role.execution_options(populate_existing=for_change)
    if for_change and lock:
        rows = db.session.execute(with_role.with_for_update(of=Service)).unique().all()
        if any(each.project_id and each.project is None for each, _ in rows):
            # Somebody moved it while we waited, and PostgreSQL joined its new row with what there
            # was before: read again what belongs to it, now that it is ours.
            rows = db.session.execute(with_role).unique().all()
    else:
        rows = db.session.execute(with_role).unique().all()
    if not rows:
        raise ServiceNotFound(identifier)
    service: Service
    for service, role in rows:
        allowed = tuple(PROJECT_WRITERS) if for_change else (role,)
        if actor.is_admin or service.user_id == actor.own_id or (role and role in allowed):
            return service
    if any(role for _, role in rows):
        raise Forbidden(worded("Viewers of a project can't change its services."))
    raise Forbidden(worded("This service is somebody else's."))


def _own_service(query: Select[Service], identifier: str, service_id: str) -> Service:
    """The service that calls with its own token, where that is the one named."""
    services = db.session.scalars(query).unique().all()
    if not services:
        raise ServiceNotFound(identifier)
    for service in services:
        if service.id == service_id:
            return service
    raise Forbidden(worded("This token is another service's."))
