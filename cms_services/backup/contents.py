"""What is in an archive, line by line, and checking it.

The first line describes the archive. Each table has a line that names it, a line for each row, and
one that counts and sums them up; the last line counts all. Rows are arrays, all else objects.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from typing import IO, Any

import orjson
from sqlalchemy import Connection

from cms_services.audit.chain import read_head
from cms_services.backup.archive import BackupError
from cms_services.backup.rows import Digest, StoredTable, read_lines, stored_tables

_FORMAT = 1
Sums = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class InstallationKeys:
    """The keys of an installation as their files have them, those in use first."""

    encryption: tuple[str, ...]
    signing: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """The first line: where an archive comes from, and what it needs."""

    application: str
    revision: str
    database: str
    made_at: datetime
    tables: tuple[StoredTable, ...]
    # An entry's number and code, as `audit verify` prints it; None where there is no entry.
    audit_head: str | None
    encryption_key_ids: tuple[str, ...]
    # None where they were left out.
    keys: InstallationKeys | None

    def line(self) -> bytes:
        return orjson.dumps({"format": _FORMAT} | asdict(self)) + b"\n"


def dumped(connection: Connection, manifest: Manifest, sums: Sums) -> Iterator[bytes]:
    """The lines of an archive of what a connection sees. Adds to `sums` those of each table."""
    yield manifest.line()
    for stored in manifest.tables:
        yield orjson.dumps({"table": stored.name}) + b"\n"
        digest = Digest()
        for line in read_lines(connection, stored):
            digest.add(line)
            yield line
        sums[stored.name] = digest.result()
        yield orjson.dumps(sums[stored.name]) + b"\n"
    yield orjson.dumps({"end": sum(each["rows"] for each in sums.values())}) + b"\n"


def manifest_of(
    connection: Connection,
    revision: str,
    now: datetime,
    encryption_key_ids: tuple[str, ...],
    keys: InstallationKeys | None,
) -> Manifest:
    """Describe an archive of what a connection sees."""
    tables = tuple(stored_tables(connection))
    has_chain = any(each.name == "audit_chain" for each in tables)
    head = read_head(connection) if has_chain else None
    return Manifest(
        application=version("cms-services"),
        revision=revision,
        database=connection.dialect.name,
        made_at=now,
        tables=tables,
        audit_head=str(head) if head else None,
        encryption_key_ids=encryption_key_ids,
        keys=keys,
    )


def read_manifest(lines: IO[bytes]) -> Manifest:
    """The first line of an archive. Raises BackupError where this version can't read it."""
    try:
        first = orjson.loads(lines.readline())
        if first.pop("format") != _FORMAT:
            raise BackupError("The backup has the format of another version; use that one.")
        keys = first.pop("keys")
        return Manifest(
            **first
            | {
                "made_at": datetime.fromisoformat(first["made_at"]),
                "tables": tuple(
                    StoredTable(each["name"], each["columns"], tuple(each["key"]))
                    for each in first["tables"]
                ),
                "encryption_key_ids": tuple(first["encryption_key_ids"]),
                "keys": keys
                and InstallationKeys(tuple(keys["encryption"]), tuple(keys["signing"])),
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable() from error


def read_tables(
    lines: IO[bytes], manifest: Manifest
) -> Iterator[tuple[StoredTable, Iterable[bytes]]]:
    """Each table with its lines, checked against its sum when they have been read.

    Each table's lines have to be read before the next table. Raises BackupError.
    """
    total = 0
    for stored in manifest.tables:
        if _control(lines.readline()) != {"table": stored.name}:
            raise _unreadable()
        digest = Digest()
        yield stored, _rows(lines, digest)
        total += digest.rows
    if _control(lines.readline()) != {"end": total} or lines.read(1):
        raise _unreadable()


def check(lines: IO[bytes]) -> tuple[Manifest, Sums]:
    """Read all of an archive. Raises BackupError where a part is missing or changed."""
    manifest = read_manifest(lines)
    sums: Sums = {}
    for stored, rows in read_tables(lines, manifest):
        digest = Digest()
        for line in rows:
            digest.add(line)
        sums[stored.name] = digest.result()
    return manifest, sums


def _rows(lines: IO[bytes], digest: Digest) -> Iterator[bytes]:
    for line in lines:
        if not line.startswith(b"["):
            if _control(line) != digest.result():
                raise _unreadable()
            return
        digest.add(line)
        yield line
    raise _unreadable()


def _control(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except ValueError as error:
        raise _unreadable() from error


def _unreadable() -> BackupError:
    return BackupError("The backup is damaged: a part is missing or was changed.")
