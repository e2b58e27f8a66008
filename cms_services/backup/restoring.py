"""Restoring an archive into an empty installation, on whichever database."""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    MetaData,
    column,
    exists,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy import table as named_table

from cms_services.backup.archive import BackupError, Keys, opened_archive, require_checksum
from cms_services.backup.contents import Manifest, Sums, check, dumped, read_manifest, read_tables
from cms_services.backup.rows import LEFT_OUT, Loader, StoredTable, unmoving_state
from cms_services.extensions import db
from cms_services.schema import (
    RESTORING_VERSIONS,
    begin_restoring,
    end_restoring,
    is_being_restored,
    knows_revision,
    newest_revision,
    upgrade_restored,
)
from cms_services.tables import metadata

_BATCH = 500
_VERSION_TABLE = "alembic_version"


def checked(path: Path, keys: Keys) -> tuple[Manifest, Sums]:
    """Read all of an archive, without restoring it. Raises BackupError for a damaged one."""
    require_checksum(path)
    with opened_archive(path, keys) as lines:
        manifest, sums = check(lines)
    if not knows_revision(manifest.revision):
        raise BackupError("The backup has the schema of a newer version; restore it with that one.")
    return manifest, sums


def require_empty(*, again: bool) -> None:
    """Raises BackupError unless the database is empty or, with `again`, one half restored."""
    with db.engine.connect() as connection:
        if is_being_restored(connection):
            if not again:
                raise BackupError(
                    "A restore into this database has begun and not ended. If it runs no more, "
                    "begin it anew with --again."
                )
            return
        present = set(inspect(connection).get_table_names())
        for name in sorted((set(metadata.tables) & present) - LEFT_OUT):
            if connection.scalar(select(exists().select_from(named_table(name)))):
                raise BackupError(
                    f"The database is not empty: {name} has rows. Restore into an empty one."
                )


def load(path: Path, keys: Keys, manifest: Manifest, before_end: Callable[[Sums], None]) -> None:
    """Put all of a checked archive into the database, which require_empty() let pass.

    `before_end` is called before the database may be served, with the sums of the tables as they
    were read back before the schema was brought up to date. Raises BackupError.
    """
    engine = db.engine
    with _writing(engine) as connection:
        begin_restoring(connection)
    _drop_all(engine, manifest)
    upgrade_restored(manifest.revision)
    with opened_archive(path, keys) as lines:
        for stored, rows in read_tables(lines, read_manifest(lines)):
            with _writing(engine) as connection:
                _load_table(connection, stored, rows)
    sums: Sums = {}
    with unmoving_state(engine) as connection:
        for _ in dumped(connection, manifest, sums):
            pass
    if manifest.revision != newest_revision():
        upgrade_restored("head")
    before_end(sums)
    with _writing(engine) as connection:
        end_restoring(connection)


def require_same(archived: Sums, restored: Sums) -> None:
    """Raises BackupError where a table that was read back differs from the archive's."""
    for name, sums in archived.items():
        if restored.get(name) != sums:
            raise BackupError(f"{name} is not as it was in the backup; the restore was not ended.")


def drop_restored(manifest: Manifest) -> None:
    """Empty a database that an archive was restored into."""
    with _writing(db.engine) as connection:
        begin_restoring(connection)
    _drop_all(db.engine, manifest)
    with _writing(db.engine) as connection:
        connection.execute(text(f"DROP TABLE {_VERSION_TABLE}"))


def _load_table(connection: Connection, stored: StoredTable, rows: Iterable[bytes]) -> None:
    if connection.dialect.name == "mysql":
        # A row of the number 0 keeps it.
        connection.execute(
            text("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")
        )
    loader = Loader(connection, stored)
    left = iter(rows)
    while batch := list(islice(left, _BATCH)):
        loader.load(batch)
    if connection.dialect.name == "postgresql":
        _move_sequences(connection, stored)


def _move_sequences(connection: Connection, stored: StoredTable) -> None:
    """Let PostgreSQL number the next rows behind those that have numbers already."""
    table = connection.dialect.identifier_preparer.quote(stored.name)
    for name in stored.key:
        if stored.columns[name] != "integer":
            continue
        sequence = connection.scalar(
            text("SELECT pg_get_serial_sequence(:table, :column)"),
            {"table": table, "column": name},
        )
        if sequence is not None:
            last = connection.scalar(
                select(func.max(column(name, BigInteger))).select_from(named_table(stored.name))
            )
            connection.execute(
                text("SELECT setval(:sequence, :next, false)"),
                {"sequence": sequence, "next": (last or 0) + 1},
            )


def _drop_all(engine: Engine, manifest: Manifest) -> None:
    """Drop our tables, but not the one that says that a restore is under way."""
    with _writing(engine) as connection:
        ours = set(metadata.tables) | {each.name for each in manifest.tables} | LEFT_OUT
        ours |= {RESTORING_VERSIONS}
        if engine.dialect.name == "sqlite":
            # Its triggers go with the table of the blocks.
            connection.execute(text("DROP TABLE IF EXISTS log_block_terms"))
        present = MetaData()
        names = ours & set(inspect(connection).get_table_names())
        present.reflect(connection, only=sorted(names), resolve_fks=False)
        present.drop_all(connection)
        if engine.dialect.name == "postgresql":
            # Of the index of logs, which is gone.
            connection.execute(text("DROP FUNCTION IF EXISTS terms_vector(text)"))


def _writing(engine: Engine) -> Any:
    """A transaction that writes, as SQLite has to know beforehand."""
    return engine.execution_options(writes=True).begin()
