"""Rows as lines of JSON that are the same on every database, read within one state of all."""

import base64
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnClause,
    Connection,
    Date,
    DateTime,
    Double,
    Engine,
    Float,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TableClause,
    Text,
    bindparam,
    cast,
    column,
    insert,
    inspect,
    select,
    table,
)
from sqlalchemy.types import TypeEngine

from cms_services.database import Moment
from cms_services.tables import metadata

# Read so many rows at a time.
_BATCH = 500
# What each database's migrations fill by themselves.
LEFT_OUT = frozenset({"schema_compatibility"})
# Of earlier schemas; later migrations take what is in them elsewhere, or drop it.
_FORMER_TABLES = frozenset({"metric_samples", "revoked_tokens"})


@dataclass(frozen=True)
class Kind:
    """How values of a column are read, written as JSON, and read from that."""

    type: TypeEngine[Any]
    dump: Callable[[Any], Any] | None = None
    load: Callable[[Any], Any] | None = None


def _dumped_float(value: float) -> float | str:
    # JSON knows no such numbers.
    return value if math.isfinite(value) else str(value)


KINDS = {
    "text": Kind(Text()),
    "integer": Kind(BigInteger()),
    "boolean": Kind(Boolean()),
    "float": Kind(Double(), _dumped_float, float),
    "moment": Kind(Moment(), datetime.isoformat, datetime.fromisoformat),
    "date": Kind(Date(), date.isoformat, date.fromisoformat),
    "bytes": Kind(LargeBinary(), lambda value: base64.b64encode(value).decode(), base64.b64decode),
    # As the text that is stored.
    "json": Kind(Text()),
}


@dataclass(frozen=True)
class StoredTable:
    """A table of an archive: columns with their kinds, and those of its primary key."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]

    @property
    def clause(self) -> TableClause:
        return table(self.name, *(column(name) for name in self.columns))


@contextmanager
def unmoving_state(engine: Engine) -> Iterator[Connection]:
    """A connection that sees all tables as they are at one moment, and hinders nobody's writing."""
    kind = engine.dialect.name
    with engine.connect() as connection:
        if kind == "postgresql":
            connection = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        elif kind == "mysql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
            connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        yield connection


def stored_tables(connection: Connection) -> list[StoredTable]:
    """The tables of the database that belong into a backup; those that others refer to first."""
    models = metadata.tables
    ours = (set(models) | _FORMER_TABLES) - LEFT_OUT
    present = MetaData()
    present.reflect(connection, only=sorted(ours & set(inspect(connection).get_table_names())))
    return [
        StoredTable(
            # What the database tells are texts of a class of its own.
            str(each.name),
            {str(name): _kind(found, models.get(each.name)) for name, found in each.c.items()},
            tuple(str(found.name) for found in each.primary_key),
        )
        for each in present.sorted_tables
        if each.name in ours
    ]


def _kind(found: Column[Any], model: Table | None) -> str:
    known = found.type
    if model is not None and found.name in model.columns:
        known = model.columns[found.name].type
    for name, types in _TYPES.items():
        if isinstance(known, types):
            return name
    return "text"


_TYPES: dict[str, tuple[type[TypeEngine[Any]], ...]] = {
    "json": (JSON,),
    "boolean": (Boolean,),
    "integer": (Integer,),
    "float": (Float,),
    "moment": (Moment, DateTime),
    "date": (Date,),
    "bytes": (LargeBinary,),
}


def read_lines(connection: Connection, stored: StoredTable) -> Iterator[bytes]:
    """A table's rows, each an array of JSON in a line, in the same order on every database."""
    query = (
        select(*(_read(name, kind) for name, kind in stored.columns.items()))
        .select_from(stored.clause)
        .order_by(*(_ordered(connection, name, stored.columns[name]) for name in stored.key))
    )
    dumps = [KINDS[kind].dump for kind in stored.columns.values()]
    positions = [(at, dump) for at, dump in enumerate(dumps) if dump is not None]
    result = connection.execute(query, execution_options={"yield_per": _BATCH})
    for row in result:
        values = list(row)
        for at, dump in positions:
            if values[at] is not None:
                values[at] = dump(values[at])
        yield orjson.dumps(values) + b"\n"


def _read(name: str, kind: str) -> Any:
    if kind == "json":
        return cast(column(name, JSON()), Text()).label(name)
    return column(name, KINDS[kind].type)


def _ordered(connection: Connection, name: str, kind: str) -> Any:
    named: ColumnClause[Any] = column(name, KINDS[kind].type)
    # The others compare by code points already.
    is_collated = kind == "text" and connection.dialect.name == "postgresql"
    return named.collate("C") if is_collated else named


class Loader:
    """Puts lines of read_lines() into a table of the same name."""

    def __init__(self, connection: Connection, stored: StoredTable) -> None:
        self._connection = connection
        self._names = [f"v{at}" for at in range(len(stored.columns))]
        loads = [KINDS[kind].load for kind in stored.columns.values()]
        self._positions = [(at, load) for at, load in enumerate(loads) if load is not None]
        self._insert = self._statement(stored)

    def load(self, lines: Sequence[bytes]) -> None:
        rows = []
        for line in lines:
            values = orjson.loads(line)
            for at, load in self._positions:
                if values[at] is not None:
                    values[at] = load(values[at])
            rows.append(dict(zip(self._names, values, strict=True)))
        if rows:
            self._connection.execute(self._insert, rows)

    def _statement(self, stored: StoredTable) -> Insert:
        is_postgresql = self._connection.dialect.name == "postgresql"
        values: dict[str, Any] = {}
        for parameter, (name, kind) in zip(self._names, stored.columns.items(), strict=True):
            value: Any = bindparam(parameter, type_=KINDS[kind].type)
            # It does not take a text for a document by itself.
            values[name] = cast(value, JSON()) if kind == "json" and is_postgresql else value
        return insert(stored.clause).values(values)


class Digest:
    """The number of lines and the SHA-256 of them all."""

    def __init__(self) -> None:
        self.rows = 0
        self._sha256 = hashlib.sha256()

    def add(self, line: bytes) -> None:
        self.rows += 1
        self._sha256.update(line)

    def result(self) -> dict[str, Any]:
        return {"rows": self.rows, "sha256": self._sha256.hexdigest()}
