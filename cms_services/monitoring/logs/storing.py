"""Writing entries, by the way that is fastest with each database."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, select, text

from cms_services.monitoring.logs.models import LogBlock, LogEntry
from cms_services.monitoring.logs.terms import block_terms

_INSERT_DOCUMENT = {
    "postgresql": """
        INSERT INTO log_entries (service_id, client_id, at, level, message, source, attributes,
            trace_id, terms, size)
        SELECT service_id, client_id, at, level, message, source, CAST(attributes AS json),
            trace_id, terms, size
        FROM json_to_recordset(CAST(:rows AS json)) AS new_rows (
            service_id text, client_id text, at timestamp, level text, message text, source text,
            attributes text, trace_id text, terms text, size integer)
        RETURNING id""",
    "mysql": """
        INSERT INTO log_entries (service_id, client_id, at, level, message, source, attributes,
            trace_id, terms, size)
        SELECT service_id, client_id, at, level, message, source, attributes,
            trace_id, terms, size
        FROM JSON_TABLE(:rows, '$[*]' COLUMNS (
            service_id VARCHAR(255) PATH '$.service_id',
            client_id VARCHAR(255) PATH '$.client_id',
            at DATETIME(6) PATH '$.at',
            level VARCHAR(64) PATH '$.level',
            message LONGTEXT PATH '$.message',
            source VARCHAR(255) PATH '$.source',
            attributes LONGTEXT PATH '$.attributes',
            trace_id VARCHAR(64) PATH '$.trace_id',
            terms LONGTEXT PATH '$.terms',
            size INTEGER PATH '$.size')) AS new_rows
        RETURNING id""",
}


# How much a block holds at most: entries, and bytes of theirs and of their terms. PostgreSQL makes
# no vector of more than 1 MiB, and MariaDB takes no statement of more than 16 MiB by default. One
# entry alone stays below both, whatever is in it.
_MOST_ENTRIES, _MOST_BYTES, _MOST_TERM_BYTES = 250, 1024 * 1024, 128 * 1024


def insert_entries(connection: Connection, service_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Insert entries of one service, given by their columns, and the blocks they are found by."""
    for block in blocks_of(rows):
        _insert_block(connection, service_id, block)


def blocks_of(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Entries, given by their columns, as they go into blocks."""
    block: list[dict[str, Any]] = []
    size = term_bytes = 0
    for row in rows:
        size += row["size"]
        term_bytes += len(row["terms"])
        is_full = len(block) == _MOST_ENTRIES
        if block and (is_full or size > _MOST_BYTES or term_bytes > _MOST_TERM_BYTES):
            yield block
            block, size, term_bytes = [], row["size"], len(row["terms"])
        block.append(row)
    if block:
        yield block


def _insert_block(connection: Connection, service_id: str, rows: list[dict[str, Any]]) -> None:
    stored = [
        row
        | {
            "at": row["at"].isoformat(" ", "microseconds")[:26],
            "attributes": orjson.dumps(row["attributes"]).decode() if row["attributes"] else "{}",
        }
        for row in rows
    ]
    if connection.dialect.name == "sqlite":
        ids = _insert_into_sqlite(connection, stored)
    else:
        ids = _insert_document(connection, stored)
    moments = [row["at"] for row in rows]
    block = {
        "service_id": service_id,
        "first_id": ids[0],
        "last_id": ids[1],
        "first_at": min(moments),
        "last_at": max(moments),
        "terms": block_terms(service_id, (row["terms"] for row in rows)),
    }
    connection.execute(insert(LogBlock), block)


def _insert_document(connection: Connection, rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Insert rows as one JSON document, since thousands of parameters cost the drivers most.

    Returns the least and the greatest id.
    """
    statement = text(_INSERT_DOCUMENT[connection.dialect.name])
    found = connection.execute(statement, {"rows": orjson.dumps(rows).decode()}).all()
    ids = [row.id for row in found]
    return min(ids), max(ids)


def _insert_into_sqlite(connection: Connection, rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Insert by the driver itself, which halves the time. Returns the first and the last id.

    Nobody else writes within this transaction, so the ids are known beforehand.
    """
    first = (connection.scalar(select(func.max(LogEntry.id))) or 0) + 1
    numbered = [row | {"id": number} for number, row in enumerate(rows, first)]
    names = list(numbered[0])
    places = ", ".join(f":{name}" for name in names)
    connection.exec_driver_sql(
        f"INSERT INTO log_entries ({', '.join(names)}) VALUES ({places})",  # noqa: S608 - our names
        numbered,
    )
    return first, first + len(rows) - 1
