"""A database that says of itself that it has the schema of another version of the application."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from cms_services.extensions import db
from cms_services.schema import newest_revision


@contextmanager
def schema_said_to_be(revision: str, oldest_compatible: str | None = None) -> Iterator[None]:
    """Let the application's database name a revision, and the oldest whose code can run on it.

    It is as before afterwards, since the tests of a process share it.
    """
    with db.engine.begin() as connection:
        before = connection.scalar(text("SELECT oldest_revision FROM schema_compatibility"))
        _say(connection, revision, oldest_compatible or str(before))
    try:
        yield
    finally:
        with db.engine.begin() as connection:
            _say(connection, str(newest_revision()), str(before))


def _say(connection: Connection, revision: str, oldest_compatible: str) -> None:
    for statement in (
        "UPDATE alembic_version SET version_num = :said",
        "UPDATE schema_compatibility SET oldest_revision = :oldest",
    ):
        connection.execute(text(statement), {"said": revision, "oldest": oldest_compatible})
