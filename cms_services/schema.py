"""The state of the database's schema, and bringing it up to date."""

from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask_migrate import upgrade
from sqlalchemy import inspect

from cms_services.extensions import db

_MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def newest_revision() -> str | None:
    """The revision that this version of the application needs."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()


def is_known(revision: str | None) -> bool:
    """Whether this version of the application has the migration to a revision."""
    scripts = ScriptDirectory(str(_MIGRATIONS)).walk_revisions()
    return revision is None or revision in {script.revision for script in scripts}


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


def upgrade_schema() -> None:
    """Run the migrations that the database lacks."""
    upgrade(directory=str(_MIGRATIONS))
