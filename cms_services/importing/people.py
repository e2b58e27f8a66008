"""Accounts, projects and members of an old database, brought here."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy import Table, exists, select, tuple_

from cms_services.accounts.addresses import checked_email
from cms_services.accounts.models import User
from cms_services.accounts.passwords import hash_password
from cms_services.accounts.sessions import end_sessions
from cms_services.accounts.users import require_another_admin
from cms_services.audit.models import AuditEntry
from cms_services.audit.trail import record
from cms_services.clock import to_wire
from cms_services.errors import ValidationFailed
from cms_services.events.outbox import emit
from cms_services.extensions import db
from cms_services.importing.conversion import Refused
from cms_services.importing.source import Row, parts_of, written_key
from cms_services.importing.stores import (
    IMPORTER,
    PROJECTS,
    USERS,
    Known,
    Prepared,
    Values,
    before_and_after,
    rows_here,
)
from cms_services.projects.models import Project, ProjectMember
from cms_services.vocabulary import EventType, ProjectRole, Role

_MEMBERS: Table = ProjectMember.__table__  # type: ignore[assignment]
# What stands for the hash of an account whose old one no hasher of ours made.
UNUSABLE = "unusable"
_PASSWORD_EVENTS = (EventType.PASSWORD_CHANGED, EventType.PASSWORD_RESET)


@dataclass(frozen=True)
class UserStore:
    known: Known

    def prepared(self, values: Values, row: Row, notes: list[str]) -> Prepared:
        old_id = values.pop("id")
        if old_id in self.known.same_as:
            told = self.known.same_as[old_id]
            raise Refused(f"same_as: its services and projects are those of the account {told}.")
        try:
            values["email"] = checked_email(values["email"].strip())
        except ValidationFailed as error:
            raise Refused(f"email: {values['email']!r}: {error.details['email'][0]}") from error
        values["name"] = values.get("name") or values["email"]
        if not is_verifiable(values.get("password_hash")):
            found = values.get("password_hash")
            values["password_hash"] = UNUSABLE
            why = "has no password" if not found else "has a hash that nothing here can verify"
            notes.append(f"password_hash: it {why}; it takes a new one by letter.")
        values["role"] = values.get("role") or Role.USER.value
        if values.get("active") is None:
            values["active"] = True
        return Prepared(old_id, _compared(values), _unseen(values), tuple(notes))

    def here(self, wanted: Mapping[str, Values]) -> dict[str, Values]:
        return rows_here(USERS, wanted, _names(wanted))

    def create(self, new: Prepared) -> None:
        _require_free_address(new.target_id, new.values["email"])
        values = new.values | {"password_hash": _stored_hash(new.values["password_hash"])}
        user = User(id=new.target_id, **values, **new.unseen)
        db.session.add(user)
        db.session.flush()
        _note_user(EventType.USER_CREATED, user, {"after": _shown_user(user)})

    def change(self, target_id: str, changes: Values, unseen: Values) -> None:
        user = db.session.get_one(User, target_id, with_for_update=True)
        before = _shown_user(user)
        if "email" in changes:
            _require_free_address(user.id, changes["email"])
        stays = changes.get("role", Role.ADMIN) == Role.ADMIN and changes.get("active", True)
        if user.role == Role.ADMIN and user.active and not stays:
            require_another_admin(user)
        if "password_hash" in changes:
            changes = changes | {"password_hash": _stored_hash(changes["password_hash"])}
        for name, value in (changes | unseen).items():
            setattr(user, name, value)
        db.session.flush()
        if "password_hash" in changes:
            record(IMPORTER, EventType.USER_UPDATED, "user", user.id, user.id, {"password": True})
        if "password_hash" in changes or not user.active:
            end_sessions(IMPORTER, user.id)
        if _shown_user(user) != before:
            changed = {"before": before, "after": _shown_user(user)}
            _note_user(EventType.USER_UPDATED, user, changed)

    def is_renewed(self, target_id: str, name: str) -> bool:
        """A hash is made anew at a sign-in; it is somebody's change where the trail says so."""
        if name != "password_hash":
            return False
        changed = exists().where(
            AuditEntry.target_id == target_id, AuditEntry.action.in_(_PASSWORD_EVENTS)
        )
        return not db.session.scalar(select(changed))

    def end(self, target_id: str) -> bool:
        active = db.session.scalar(select(USERS.c.active).where(USERS.c.id == target_id))
        if active:
            self.change(target_id, {"active": False}, {})
        return bool(active)


@dataclass(frozen=True)
class ProjectStore:
    known: Known

    def prepared(self, values: Values, row: Row, notes: list[str]) -> Prepared:
        project_id = values.pop("id")
        if "description" in values:
            values["description"] = values["description"] or ""
        if "owner_id" in values:
            old, values["owner_id"] = values["owner_id"], self.known.user(values["owner_id"])
            if old is not None and values["owner_id"] is None:
                notes.append(f"owner_id: there is no account {old} here; only admins see it.")
        if owner := values.get("owner_id"):
            self.known.project_owners[project_id] = owner
        return Prepared(project_id, _compared(values), _unseen(values), tuple(notes))

    def here(self, wanted: Mapping[str, Values]) -> dict[str, Values]:
        names = _names(wanted)
        found = rows_here(PROJECTS, wanted, [name for name in names if name != "owner_id"])
        if "owner_id" not in names:
            return found
        query = select(_MEMBERS.c.project_id, _MEMBERS.c.user_id).where(
            _MEMBERS.c.project_id.in_(wanted), _MEMBERS.c.role == ProjectRole.OWNER
        )
        owners: dict[str, list[str]] = {}
        for project_id, user_id in db.session.execute(query.order_by(_MEMBERS.c.user_id)):
            owners.setdefault(project_id, []).append(user_id)
        for project_id, values in found.items():
            # A project has as many owners as it wants here, and one there.
            there, here = wanted[project_id]["owner_id"], owners.get(project_id, [])
            none = there is None or not here
            values["owner_id"] = there if there in here or (none and not here) else first(here)
            if there is None:
                values["owner_id"] = None
        return found

    def create(self, new: Prepared) -> None:
        values = dict(new.values)
        _require_free_name(new.target_id, values["name"])
        owner = values.pop("owner_id", None)
        project = Project(id=new.target_id, **values, **new.unseen)
        db.session.add(project)
        db.session.flush()
        if owner is not None:
            _set_part(project.id, owner, ProjectRole.OWNER)
        _note_project(EventType.PROJECT_CREATED, project, owner, {"after": {"name": project.name}})

    def change(self, target_id: str, changes: Values, unseen: Values) -> None:
        project = db.session.get_one(Project, target_id, with_for_update=True)
        changes = dict(changes)
        if "name" in changes:
            _require_free_name(target_id, changes["name"])
        owner = changes.pop("owner_id", None)
        told = before_and_after(project, changes, _plain)
        if owner is not None:
            _set_part(project.id, owner, ProjectRole.OWNER)
            told["after"]["ownerId"] = owner
        for name, value in (changes | unseen).items():
            setattr(project, name, value)
        db.session.flush()
        _note_project(EventType.PROJECT_UPDATED, project, owner, told)

    def is_renewed(self, target_id: str, name: str) -> bool:
        return False

    def end(self, target_id: str) -> bool:
        return False


@dataclass(frozen=True)
class MemberStore:
    known: Known

    def prepared(self, values: Values, row: Row, notes: list[str]) -> Prepared:
        project_id, old_user = values.pop("project_id"), values.pop("user_id")
        user_id = self.known.user(old_user)
        if user_id is None:
            raise Refused(f"user_id: there is no account {old_user} here.")
        if not self.known.has_project(project_id):
            raise Refused(f"project_id: there is no project {project_id} here.")
        # Without parts, who took part could change all.
        values["role"] = values.get("role") or ProjectRole.EDITOR.value
        if self.known.project_owners.get(project_id) == user_id:
            values["role"] = ProjectRole.OWNER.value
        return Prepared(written_key((project_id, user_id)), {"role": values["role"]})

    def here(self, wanted: Mapping[str, Values]) -> dict[str, Values]:
        keys = [tuple(parts_of(each, 2)) for each in wanted]
        columns = _MEMBERS.c.project_id, _MEMBERS.c.user_id
        query = select(*columns, _MEMBERS.c.role).where(tuple_(*columns).in_(keys))
        return {
            written_key((row.project_id, row.user_id)): {"role": row.role}
            for row in db.session.execute(query)
        }

    def create(self, new: Prepared) -> None:
        self.change(new.target_id, new.values, {})

    def change(self, target_id: str, changes: Values, unseen: Values) -> None:
        project_id, user_id = parts_of(target_id, 2)
        before = _set_part(project_id, user_id, ProjectRole(changes["role"]))
        project = db.session.get_one(Project, project_id)
        told = {"before": {"role": before}, "after": {"userId": user_id, "role": changes["role"]}}
        _note_project(EventType.PROJECT_MEMBER_SET, project, None, told)

    def is_renewed(self, target_id: str, name: str) -> bool:
        return False

    def end(self, target_id: str) -> bool:
        project_id, user_id = parts_of(target_id, 2)
        member = db.session.get(ProjectMember, (project_id, user_id))
        if member is None:
            return False
        told = {"before": {"userId": user_id, "role": member.role}}
        project = db.session.get_one(Project, project_id)
        db.session.delete(member)
        _note_project(EventType.PROJECT_MEMBER_REMOVED, project, None, told)
        return True


def is_verifiable(found: str | None) -> bool:
    """Whether a password can be checked by this hash: bcrypt of PHP, or argon2."""
    if not found or len(found) > 255:
        return False
    return bool(BcryptHasher.identify(found) or Argon2Hasher.identify(found))


def _require_free_address(user_id: str, email: str) -> None:
    taken = select(USERS.c.id).where(USERS.c.email == email, USERS.c.id != user_id)
    if other := db.session.scalar(taken):
        raise Refused(
            f"email: {email} is that of the account {other} already; where both are one person, "
            f'map it by same_as: {{"{user_id}": "{other}"}}.'
        )


def _require_free_name(project_id: str, name: str) -> None:
    taken = select(PROJECTS.c.id).where(PROJECTS.c.name == name, PROJECTS.c.id != project_id)
    if other := db.session.scalar(taken):
        raise Refused(f"name: {name!r} is that of the project {other} already.")


def _compared(values: Values) -> Values:
    """Without what is not known, which our own defaults stand in for, and the last change."""
    return {
        name: value
        for name, value in values.items()
        if name != "updated_at" and (value is not None or name != "created_at")
    }


def _unseen(values: Values) -> Values:
    updated = values.get("updated_at") or values.get("created_at")
    return {} if updated is None else {"updated_at": updated}


def _names(wanted: Mapping[str, Values]) -> list[str]:
    return sorted({name for values in wanted.values() for name in values})


def _stored_hash(found: str) -> str:
    return _hash_of_nobody() if found == UNUSABLE else found


@cache
def _hash_of_nobody() -> str:
    """A hash that costs a sign-in as much as any, of a password that nobody knows."""
    return hash_password(secrets.token_urlsafe(32))


def _set_part(project_id: str, user_id: str, role: ProjectRole) -> str | None:
    """Returns what the account was before in the project."""
    member = db.session.get(ProjectMember, (project_id, user_id))
    before = None if member is None else member.role
    if member is None:
        member = ProjectMember(project_id=project_id, user_id=user_id)
        db.session.add(member)
    member.role = role.value
    db.session.flush()
    return before


def first(found: list[str]) -> str | None:
    return found[0] if found else None


def _plain(value: Any) -> Any:
    return to_wire(value) if isinstance(value, datetime) else value


def _shown_user(user: User) -> dict[str, Any]:
    return {"email": user.email, "name": user.name, "role": user.role, "active": user.active}


def _note_user(event: EventType, user: User, changes: dict[str, Any]) -> None:
    record(IMPORTER, event, "user", user.id, user.id, changes)
    emit(event, user.id, user.id, {"id": user.id, "email": user.email})


def _note_project(
    event: EventType, project: Project, owner: str | None, changes: dict[str, Any]
) -> None:
    record(IMPORTER, event, "project", project.id, owner, changes)
    emit(event, project.id, owner, {"id": project.id, "name": project.name})
