"""Projects: making them, sharing them, and who may do what inside."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, exists, func, select
from sqlalchemy.exc import IntegrityError

from cms_services.accounts.models import User
from cms_services.accounts.users import id_of_address
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.database import AnyRow
from cms_services.errors import Conflict, Forbidden, NotFound, ValidationFailed
from cms_services.events.outbox import emit
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.projects.models import Project, ProjectMember
from cms_services.vocabulary import PROJECT_WRITERS, EventType, ProjectRole
from cms_services.wording import either, term, worded

_BY_NAME = (SortKey("name", Project.name),)
PROJECT_COLUMNS = (
    Project.id,
    Project.name,
    Project.description,
    Project.created_at,
    Project.updated_at,
)

_MEMBERS = select(ProjectMember.user_id, User.email, User.name, ProjectMember.role).join(
    User, User.id == ProjectMember.user_id
)


def readable_project_ids(actor: Actor) -> Select[str]:
    """A subquery of the projects that the caller is a member of."""
    return select(ProjectMember.project_id).where(ProjectMember.user_id == actor.own_id)


def owned_project_ids(actor: Actor) -> list[str]:
    """The projects that the caller is a member of as an owner. Being an admin makes no member.

    Not a subquery: among alternatives, it has servers read a whole table of what it narrows.
    """
    query = readable_project_ids(actor).where(ProjectMember.role == ProjectRole.OWNER)
    return list(db.session.scalars(query))


def role_in_project(actor: Actor, project_id: str | None) -> ProjectRole | None:
    """The caller's part in a project; admins count as owners everywhere."""
    if actor.is_admin:
        return ProjectRole.OWNER
    if project_id is None:
        return None
    member = db.session.get(ProjectMember, (project_id, actor.own_id))
    return ProjectRole(member.role) if member else None


def load_project(
    actor: Actor,
    project_id: str,
    allowed: tuple[ProjectRole, ...] = tuple(ProjectRole),
    *,
    for_change: bool = False,
) -> Project:
    """The one way to a project. Raises NotFound, or Forbidden without an `allowed` role.

    For a change the row is locked until the transaction ends.
    """
    project = db.session.get(Project, project_id, with_for_update=for_change or None)
    if project is None:
        raise NotFound(worded("There is no such project."))
    role = role_in_project(actor, project.id)
    if role is None:
        raise Forbidden(worded("This project is somebody else's."))
    if role not in allowed:
        raise Forbidden(
            worded(
                "This needs the part of %(roles)s in the project.", roles=either(map(term, allowed))
            )
        )
    return project


def project_for_new_service(actor: Actor, name: str) -> Project:
    """The project of this name, which is made where there is none and then belongs to the caller.

    Raises Forbidden where it is somebody else's.
    """
    present = writable_project(actor, name)
    if present is not None:
        return present
    try:
        with db.session.begin_nested():
            return create_project(actor, name)
    except Conflict:
        # Somebody made it at the same moment: the same page, with two services of a new project.
        present = writable_project(actor, name)
        if present is None:
            raise
        return present


def writable_project(actor: Actor, name: str) -> Project | None:
    """The project of this name; None where there is none. Raises Forbidden for somebody else's."""
    project = db.session.scalar(select(Project).where(Project.name == name))
    return None if project is None else load_project(actor, project.id, PROJECT_WRITERS)


def writable_project_names(actor: Actor, limit: int) -> list[str]:
    """The names of the projects in which the caller may make services."""
    query = select(Project.name).order_by(Project.name).limit(limit)
    if not actor.is_admin:
        query = query.join(ProjectMember, ProjectMember.project_id == Project.id).where(
            ProjectMember.user_id == actor.own_id, ProjectMember.role.in_(PROJECT_WRITERS)
        )
    return list(db.session.scalars(query))


def create_project(actor: Actor, name: str, description: str = "") -> Project:
    """Make a project with the caller as its owner. Raises Conflict for a taken name."""
    if db.session.scalar(select(exists().where(Project.name == name))):
        raise _name_taken(name)
    project = Project(name=name, description=description)
    db.session.add(project)
    try:
        db.session.flush()
    except IntegrityError as error:
        raise _name_taken(name) from error
    db.session.add(
        ProjectMember(project_id=project.id, user_id=actor.own_id, role=ProjectRole.OWNER)
    )
    _note(actor, EventType.PROJECT_CREATED, project, {"after": _shown(project)})
    return project


def list_projects(
    actor: Actor, *, limit: int, cursor: str | None = None, q: str | None = None
) -> Page[AnyRow]:
    """Projects by name: the caller's own and shared ones, an admin's all."""
    query = select(*PROJECT_COLUMNS)
    if not actor.is_admin:
        query = query.where(Project.id.in_(readable_project_ids(actor)))
    if q:
        query = query.where(func.lower(Project.name).contains(q.lower(), autoescape=True))
    return paged(query, _BY_NAME, limit, cursor)


def names_of_projects(actor: Actor, ids: Collection[str]) -> Sequence[AnyRow]:
    """Of projects by their ids those that the caller may read: id and name."""
    query = select(Project.id, Project.name).where(Project.id.in_(ids))
    if not actor.is_admin:
        query = query.where(Project.id.in_(readable_project_ids(actor)))
    return db.session.execute(query).all()


def update_project(actor: Actor, project: Project, changes: dict[str, Any]) -> Project:
    """Rename or describe. Raises Conflict for a taken name."""
    before = _shown(project)
    for field, value in changes.items():
        setattr(project, field, value)
    try:
        db.session.flush()
    except IntegrityError as error:
        raise _name_taken(str(changes.get("name"))) from error
    if _shown(project) != before:
        _note(
            actor,
            EventType.PROJECT_UPDATED,
            project,
            {"before": before, "after": _shown(project)},
        )
    return project


def delete_project(actor: Actor, project: Project) -> None:
    """Remove an empty project.

    Raises Conflict, from the database's foreign key, while services belong to it.
    """
    _note(actor, EventType.PROJECT_DELETED, project, {"before": _shown(project)})
    db.session.delete(project)
    db.session.flush()


def list_members(project: Project) -> list[AnyRow]:
    """Members with their role, by e-mail address."""
    query = _MEMBERS.where(ProjectMember.project_id == project.id).order_by(User.email)
    return list(db.session.execute(query).all())


def members_by_project(project_ids: Sequence[str]) -> dict[str, list[AnyRow]]:
    """The members of some projects, as list_members() has them, by the projects."""
    query = _MEMBERS.where(ProjectMember.project_id.in_(project_ids))
    found: dict[str, list[AnyRow]] = {project_id: [] for project_id in project_ids}
    query = query.add_columns(ProjectMember.project_id).order_by(User.email)
    for member in db.session.execute(query).all():
        found[member.project_id].append(member)
    return found


def set_member(actor: Actor, project: Project, user_id: str, role: ProjectRole) -> None:
    """Let an account take part in a project, or change its part.

    Raises ValidationFailed for an unknown account, Conflict for the last owner's demotion.
    """
    if db.session.get(User, user_id) is None:
        raise ValidationFailed({"userId": [worded("There is no such user.")]})
    member = db.session.get(ProjectMember, (project.id, user_id))
    if member is not None and member.role == ProjectRole.OWNER and role is not ProjectRole.OWNER:
        _require_another_owner(project, user_id)
    if member is None:
        member = ProjectMember(project_id=project.id, user_id=user_id)
        db.session.add(member)
    before, member.role = member.role, role
    if before != role:
        changes = {"before": {"role": before}, "after": {"userId": user_id, "role": role}}
        _note(actor, EventType.PROJECT_MEMBER_SET, project, changes)


def set_member_by_address(actor: Actor, project: Project, email: str, role: ProjectRole) -> None:
    """Let the account with this address take part in a project, or change its part.

    Raises ValidationFailed where there is none, Conflict for the last owner's demotion.
    """
    user_id = id_of_address(email)
    if user_id is None:
        raise ValidationFailed(
            {
                "email": [
                    worded(
                        "There is no account with this address; an administrator can invite one."
                    )
                ]
            }
        )
    set_member(actor, project, user_id, role)


def remove_member(actor: Actor, project_id: str, user_id: str) -> Project:
    """End somebody's part, which owners may, or one's own, which every member may.

    Returns the project. Raises NotFound, Forbidden, or Conflict for the last owner.
    """
    allowed = tuple(ProjectRole) if user_id == actor.user_id else (ProjectRole.OWNER,)
    project = load_project(actor, project_id, allowed, for_change=True)
    member = db.session.get(ProjectMember, (project.id, user_id))
    if member is None:
        raise NotFound(worded("There is no such member."))
    if member.role == ProjectRole.OWNER:
        _require_another_owner(project, user_id)
    changes = {"before": {"userId": user_id, "role": member.role}}
    db.session.delete(member)
    _note(actor, EventType.PROJECT_MEMBER_REMOVED, project, changes)
    return project


def _require_another_owner(project: Project, user_id: str) -> None:
    others = select(ProjectMember.user_id).where(
        ProjectMember.project_id == project.id,
        ProjectMember.role == ProjectRole.OWNER,
        ProjectMember.user_id != user_id,
    )
    # Locked, so that two owners can't leave at the same moment.
    if db.session.scalars(others.with_for_update()).first() is None:
        raise Conflict(worded("A project keeps at least one owner; name another owner first."))


def _name_taken(name: str) -> Conflict:
    return Conflict(worded("There is a project with this name."), {"name": name})


def _shown(project: Project) -> dict[str, Any]:
    return {"name": project.name, "description": project.description}


def _note(actor: Actor, event: EventType, project: Project, changes: dict[str, Any]) -> None:
    record(actor, event, "project", project.id, actor.user_id, changes)
    emit(event, project.id, actor.user_id, {"id": project.id, "name": project.name})
