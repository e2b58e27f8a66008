"""The state of the database's schema, bringing it up to date, and whose code can run on it.

A migration only expands the schema, so that code that knows nothing of it goes on, or it contracts
it, and says which revision is the oldest whose code can run from then on (docs/upgrading.md).
"""

from enum import Enum, auto
from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask_migrate import upgrade
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.database import WORD
from cms_services.extensions import Model, db

_MIGRATIONS = Path(__file__).parent / "migrations"
# The revision that brought the table below. Those before it said nothing of whose code can run.
_FIRST_THAT_DECLARES = "0011"
_DECLARATION = "oldest_compatible_revision"
# Stands where the revision does while a backup is being restored, so that no version of ours takes
# the database for one that it could serve or migrate.
_RESTORING = "restoring"
# Where Alembic keeps the revision meanwhile.
RESTORING_VERSIONS = "restoring_version"
# Alembic's own table, as it makes it.
_VERSIONS = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


class SchemaCompatibility(Model):
    """One row: the oldest revision whose code can run on the schema as it is."""

    __tablename__ = "schema_compatibility"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False, default=1)
    oldest_revision: Mapped[str] = mapped_column(WORD)


class SchemaState(Enum):
    """What the schema of a database is to this version of the application."""

    NEWEST = auto()
    # This version's migrations are still to be run.
    OLDER = auto()
    # A later version's migrations have been run, and ours can go on.
    NEWER_BUT_COMPATIBLE = auto()
    TOO_NEW = auto()
    # A restore has begun, and not ended.
    HALF_RESTORED = auto()

    @property
    def can_be_served(self) -> bool:
        return self in (SchemaState.NEWEST, SchemaState.NEWER_BUT_COMPATIBLE)


class DeclarationError(Exception):
    """A migration does not say whose code can run on the schema after it."""


@cache
def newest_revision() -> str | None:
    """The revision that this version of the application needs."""
    return _scripts().get_current_head()


def schema_state(connection: Connection) -> SchemaState:
    """What the schema that a connection leads to is to this version of the application."""
    present = MigrationContext.configure(connection).get_current_revision()
    if present == _RESTORING:
        return SchemaState.HALF_RESTORED
    if present == newest_revision():
        return SchemaState.NEWEST
    if present is None or present in _known_revisions():
        return SchemaState.OLDER
    try:
        with connection.begin_nested():
            oldest = connection.scalar(select(SchemaCompatibility.oldest_revision))
    except SQLAlchemyError:
        # No version of ours leaves that table out; a broken connection is met again.
        return SchemaState.TOO_NEW
    known = oldest in _known_revisions()
    return SchemaState.NEWER_BUT_COMPATIBLE if known else SchemaState.TOO_NEW


def present_state() -> SchemaState:
    """What the schema of the application's database is to this version of it."""
    with db.engine.connect() as connection:
        return schema_state(connection)


def present_revision() -> str | None:
    """The revision that the database has; None for an empty one."""
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_new() -> bool:
    """Whether the database has no table, or its very first migration has not ended yet.

    MariaDB shows each table as it is made, so another node's first start can be half done.
    """
    tables = inspect(db.engine).get_table_names()
    return not tables or ("alembic_version" in tables and present_revision() is None)


def upgrade_schema(revision: str = "head") -> None:
    """Run the migrations that the database lacks, up to a revision."""
    upgrade(directory=str(_MIGRATIONS), revision=revision)


def knows_revision(revision: str) -> bool:
    """Whether this version of the application has the migration to a revision."""
    return revision in _known_revisions()


def is_being_restored(connection: Connection) -> bool:
    """Whether a restore into a database has begun and not ended."""
    return MigrationContext.configure(connection).get_current_revision() == _RESTORING


def begin_restoring(connection: Connection) -> None:
    """Let nothing serve or migrate a database until end_restoring()."""
    _put_revision(connection, _RESTORING)


def upgrade_restored(revision: str) -> None:
    """Run the migrations up to a revision, in a database that is being restored."""
    arguments = current_app.extensions["migrate"].configure_args
    arguments["version_table"] = RESTORING_VERSIONS
    try:
        upgrade(directory=str(_MIGRATIONS), revision=revision)
    finally:
        del arguments["version_table"]


def end_restoring(connection: Connection) -> None:
    """Let a database be served again that is restored, and has the newest schema."""
    connection.execute(text(f"DROP TABLE {RESTORING_VERSIONS}"))
    _put_revision(connection, str(newest_revision()))


def _put_revision(connection: Connection, revision: str) -> None:
    if not inspect(connection).has_table(_VERSIONS.name):
        _VERSIONS.create(connection)
    connection.execute(delete(_VERSIONS))
    connection.execute(insert(_VERSIONS).values(version_num=revision))


def oldest_compatible(scripts: ScriptDirectory, revision: str) -> str | None:
    """The oldest revision whose code can run on the schema of a revision.

    That is what the last migration up to it says that contracted. None for a revision from before
    migrations said so. Raises DeclarationError for one that says nothing.
    """
    for script in scripts.iterate_revisions(revision, "base"):
        if not hasattr(script.module, _DECLARATION):
            if script.revision >= _FIRST_THAT_DECLARES:
                raise DeclarationError(
                    f"Migration {script.revision} does not set {_DECLARATION}: to None where it "
                    "only expands, else to the oldest revision whose code can run after it."
                )
            return None
        declared: str | None = getattr(script.module, _DECLARATION)
        if declared is not None:
            return declared
    return None


def note_oldest_compatible(
    connection: Connection, scripts: ScriptDirectory, revision: str | None
) -> None:
    """Write down whose code can run on the schema of a revision, which the database has now."""
    oldest = oldest_compatible(scripts, revision) if revision else None
    if oldest is None:
        return
    table: Table = SchemaCompatibility.__table__  # type: ignore[assignment]
    connection.execute(delete(table))
    connection.execute(insert(table).values(id=1, oldest_revision=oldest))


@cache
def _known_revisions() -> frozenset[str]:
    """Every revision that this version of the application has the migration to."""
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_MIGRATIONS))
