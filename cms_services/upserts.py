"""Inserting rows, or changing those whose key is there, in one statement on each database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, func
from sqlalchemy.dialects import mysql, postgresql, sqlite

Rows = Sequence[Mapping[str, Any]]


def add_up(
    connection: Connection, table: Table, rows: Rows, *, greatest: Sequence[str] = ()
) -> None:
    """Insert rows, or add their numbers to those of the row with the same primary key.

    Columns in `greatest` become the larger of both instead. The rows' keys must differ, and stand
    in one order for all writers, so that two of them don't wait for each other.
    """
    keys = {column.name for column in table.primary_key}
    numbers = [name for name in rows[0] if name not in keys] if rows else []
    kind = connection.dialect.name
    larger = func.max if kind == "sqlite" else func.greatest

    def changed(new: Any) -> dict[str, Any]:
        return {
            name: larger(table.c[name], new[name])
            if name in greatest
            else table.c[name] + new[name]
            for name in numbers
        }

    _insert_or(connection, table, rows, changed)


def replace(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows, or overwrite those with the same primary key. The rows' keys must differ."""
    keys = {column.name for column in table.primary_key}
    names = [name for name in rows[0] if name not in keys] if rows else []
    _insert_or(connection, table, rows, lambda new: {name: new[name] for name in names})


def add_missing(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows, but for those whose primary key is there. The rows' keys must differ."""
    if not rows:
        return
    if connection.dialect.name == "mysql":
        # Unlike INSERT IGNORE this still refuses all else that is wrong with a row.
        key = next(iter(table.primary_key)).name
        statement: Any = mysql.insert(table)
        statement = statement.on_duplicate_key_update({key: table.c[key]})
    else:
        made = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        statement = made(table).on_conflict_do_nothing(index_elements=list(table.primary_key))
    connection.execute(statement, list(rows))


def _insert_or(connection: Connection, table: Table, rows: Rows, changed: Any) -> None:
    if not rows:
        return
    statement: Any
    if connection.dialect.name == "mysql":
        statement = mysql.insert(table)
        statement = statement.on_duplicate_key_update(changed(statement.inserted))
    else:
        made = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        statement = made(table)
        statement = statement.on_conflict_do_update(
            index_elements=list(table.primary_key), set_=changed(statement.excluded)
        )
    connection.execute(statement, list(rows))
