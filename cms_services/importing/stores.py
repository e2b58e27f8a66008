"""What the stores of single rows share: accounts, projects, members and services."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Table, select

from cms_services.accounts.models import User
from cms_services.actor import Actor
from cms_services.catalogue.models import Service
from cms_services.extensions import db
from cms_services.importing.source import Row
from cms_services.projects.models import Project
from cms_services.vocabulary import Role

Values = dict[str, Any]

IMPORTER = Actor(user_id=None, role=Role.ADMIN, name="import")

USERS: Table = User.__table__  # type: ignore[assignment]
PROJECTS: Table = Project.__table__  # type: ignore[assignment]
SERVICES: Table = Service.__table__  # type: ignore[assignment]


@dataclass
class Known:
    """Which rows are here, as far as somebody asked; and who owns a project there."""

    same_as: Mapping[str, str] = field(default_factory=dict)
    project_owners: dict[str, str] = field(default_factory=dict)
    _present: dict[str, set[str]] = field(default_factory=dict)
    _absent: set[str] = field(default_factory=set)

    def user(self, old_id: str | None) -> str | None:
        """The id here of an account by its old one; None where it is not here."""
        if old_id is None:
            return None
        target = self.same_as.get(old_id, old_id)
        return target if self._has(USERS, target) else None

    def has_project(self, project_id: str) -> bool:
        return self._has(PROJECTS, project_id)

    def has_service(self, service_id: str) -> bool:
        """One that is not here is looked for once a page: a table may have a million rows of it."""
        if service_id in self._absent:
            return False
        found = self._has(SERVICES, service_id)
        if not found:
            self._absent.add(service_id)
        return found

    def begin_page(self) -> None:
        """What was not here for the page before may be for this one."""
        self._absent.clear()

    def _has(self, table: Table, row_id: str) -> bool:
        present = self._present.setdefault(table.name, set())
        if row_id not in present:
            if db.session.scalar(select(table.c.id).where(table.c.id == row_id)) is None:
                return False
            present.add(row_id)
        return True


@dataclass(frozen=True)
class Prepared:
    """A row of the old database as it would be here.

    `values` are compared and written, `unseen` only written where the row is made or changed.
    `notes` say what could not stay as it was.
    """

    target_id: str
    values: Values
    unseen: Values = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Store(Protocol):
    """How rows of one entity are brought into our database, in the caller's transaction."""

    def prepared(self, values: Values, row: Row, notes: list[str]) -> Prepared:
        """The row as it would be here; `notes` say what of it was not read. Raises Refused."""

    def here(self, wanted: Mapping[str, Values]) -> dict[str, Values]:
        """Of rows by their ids those that are here, with the same fields as in `wanted`."""

    def create(self, new: Prepared) -> None:
        """Raises Refused, DomainError or what the database raises."""

    def change(self, target_id: str, changes: Values, unseen: Values) -> None:
        """Raises as create() does."""

    def is_renewed(self, target_id: str, name: str) -> bool:
        """Whether a field that differs from what was taken was changed by nobody."""

    def end(self, target_id: str) -> bool:
        """End what is gone there. Returns whether anything changed."""


def rows_here(table: Table, ids: Collection[str], names: Collection[str]) -> dict[str, Values]:
    """Columns of rows by their ids, as the database has them now."""
    columns = [table.c[name] for name in names]
    query = select(table.c.id, *columns).where(table.c.id.in_(ids))
    return {
        row[0]: dict(zip(names, row[1:], strict=True)) for row in db.session.execute(query).all()
    }


def before_and_after(row: Any, changes: Values, told: Callable[[Any], Any]) -> dict[str, Any]:
    """What an audit entry says of changes that are about to be made to a row."""
    return {
        "before": {name: told(getattr(row, name)) for name in changes},
        "after": {name: told(value) for name, value in changes.items()},
    }
