"""How Alembic runs our migrations: one node at a time, all of a run or nothing where possible."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from cms_services.schema import DeclarationError, note_oldest_compatible

_LOCK_NUMBER = 7_261_894_055
_LOCK_NAME = "cms-services-migrations-"
_LOCK_SECONDS = 60
_LOOK_SECONDS = 0.2
# While a statement waits for a table, all that come after it wait too. So it waits for a moment
# only, and the run begins again a little later.
_TABLE_LOCK_MILLISECONDS = 2000
_PAUSE_SECONDS = 1.0
_MOST_TRIES = 20
_LOCK_NOT_AVAILABLE = "55P03"
# The full-text index of logs, which the models make by statements of their own.
_MADE_BY_STATEMENTS = re.compile(r"log_block_terms(_\w+)?|ix_log_blocks_terms")


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Let of several nodes that start at once one migrate and the others wait."""
    kind = connection.dialect.name
    if kind == "sqlite":
        # Rebuilding a table drops it, which would delete its children's rows.
        raw: Any = connection.connection.driver_connection
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            raw.execute("PRAGMA foreign_keys = ON")
        return
    take, release = {
        # Waiting within a statement would hold up CREATE INDEX CONCURRENTLY for ever.
        "postgresql": ("SELECT pg_try_advisory_lock(:key)", "SELECT pg_advisory_unlock(:key)"),
        # Its locks belong to the whole server, where other installations may migrate too.
        "mysql": (
            f"SELECT GET_LOCK(CONCAT(:key, MD5(DATABASE())), {_LOCK_SECONDS})",
            "SELECT RELEASE_LOCK(CONCAT(:key, MD5(DATABASE())))",
        ),
    }[kind]
    key = {"key": _LOCK_NUMBER if kind == "postgresql" else _LOCK_NAME}
    while not (taken := connection.execute(text(take), key).scalar()) and kind == "postgresql":
        connection.commit()
        time.sleep(_LOOK_SECONDS)
    connection.commit()
    if not taken:
        raise CommandError(f"another node has been migrating for {_LOCK_SECONDS} s; try again")
    try:
        yield
    finally:
        connection.execute(text(release), key)
        connection.commit()


def _is_described(_: Any, name: str | None, *__: Any) -> bool:
    """Whether the models describe a thing, so that Alembic compares it."""
    return _MADE_BY_STATEMENTS.fullmatch(name or "") is None


def _note_compatibility(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    """Say, in the transaction of a migration, whose code can run on the schema after it."""
    try:
        note_oldest_compatible(ctx.connection, context.script, next(iter(heads), None))
    except DeclarationError as error:
        raise CommandError(str(error)) from error


def _run() -> None:
    migrate = current_app.extensions["migrate"]
    with migrate.db.engine.connect() as plain:
        connection = plain.execution_options(writes=True)
        with _alone(connection):
            context.configure(
                connection=connection,
                target_metadata=migrate.db.metadata,
                transactional_ddl=connection.dialect.name != "mysql",
                include_object=_is_described,
                on_version_apply=_note_compatibility,
                **migrate.configure_args,
            )
            _migrate(connection)


def _migrate(connection: Connection) -> None:
    """Run the migrations, with several tries where PostgreSQL's tables are in use for long.

    Elsewhere nothing could begin again: SQLite has one lock for all, and MariaDB commits each step.
    """
    for left in reversed(range(_MOST_TRIES)):
        try:
            with context.begin_transaction():
                if connection.dialect.name == "postgresql":
                    connection.execute(text(f"SET LOCAL lock_timeout = {_TABLE_LOCK_MILLISECONDS}"))
                context.run_migrations()
        except OperationalError as error:
            connection.rollback()
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            if not left:
                raise CommandError(
                    "a table is in use for too long; end what holds it, and run this again"
                ) from error
            time.sleep(_PAUSE_SECONDS)
        else:
            return


_run()
