"""How Alembic runs our migrations: one node at a time, all of a run or nothing where possible."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, text

_LOCK_NUMBER = 7_261_894_055
_LOCK_NAME = "cms-services-migrations-"
_LOCK_SECONDS = 60
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
        "postgresql": ("SELECT pg_advisory_lock(:key)", "SELECT pg_advisory_unlock(:key)"),
        # Its locks belong to the whole server, where other installations may migrate too.
        "mysql": (
            f"SELECT GET_LOCK(CONCAT(:key, MD5(DATABASE())), {_LOCK_SECONDS})",
            "SELECT RELEASE_LOCK(CONCAT(:key, MD5(DATABASE())))",
        ),
    }[kind]
    key = {"key": _LOCK_NUMBER if kind == "postgresql" else _LOCK_NAME}
    taken = connection.execute(text(take), key).scalar()
    connection.commit()
    if kind == "mysql" and taken != 1:
        raise CommandError(f"another node has been migrating for {_LOCK_SECONDS} s; try again")
    try:
        yield
    finally:
        connection.execute(text(release), key)
        connection.commit()


def _is_described(_: Any, name: str | None, *__: Any) -> bool:
    """Whether the models describe a thing, so that Alembic compares it."""
    return _MADE_BY_STATEMENTS.fullmatch(name or "") is None


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
                **migrate.configure_args,
            )
            with context.begin_transaction():
                context.run_migrations()


_run()
