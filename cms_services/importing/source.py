"""The old database: opened to read only, described by reflection, and read in pages by key."""

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Enum,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    cast,
    column,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    not_,
    or_,
    select,
    table,
    tuple_,
)
from sqlalchemy.dialects.mysql import SET
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    NoSuchTableError,
    SAWarning,
)
from sqlalchemy.types import BINARY, TIMESTAMP, VARBINARY

from cms_services.database import is_outage, sqlalchemy_url, sqlite_file
from cms_services.importing.conversion import decoded

_CONNECT_SECONDS = 10
_READ_SECONDS = 300
_KEYS_AT_ONCE = 500
_USUAL_PORTS = {"mysql": 3306, "postgresql": 5432}
# How bytes in a key are written; PostgreSQL writes and reads them so.
_BYTES = "\\x"

Row = Mapping[str, Any]
Key = tuple[Any, ...]

# What makes a session of each kind of database refuse to change anything. Times of MySQL's
# TIMESTAMP columns come in the zone of the session.
_READ_ONLY = {
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION time_zone = '+00:00'"),
    "postgresql": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET SESSION TIME ZONE 'UTC'",
    ),
    "sqlite": ("PRAGMA query_only = ON",),
}


class SourceError(Exception):
    """The old database can't be read. The message is the one line that the operator reads."""


class SourceAway(SourceError):
    """It does not answer just now, and may later."""


@dataclass(frozen=True)
class SourceColumn:
    """A column as the old database describes it; `words` are those of an enum."""

    name: str
    # Whether its times are of UTC whatever the zone of the others.
    is_utc: bool = False
    words: tuple[str, ...] = ()
    refers_to: tuple[str, str] | None = None
    is_binary: bool = False
    is_nullable: bool = False
    # MySQL's enums and sets, which are sorted by their place in the list and compared as texts.
    is_of_list: bool = False


@dataclass(frozen=True)
class SourceTable:
    name: str
    columns: Mapping[str, SourceColumn]
    key: tuple[str, ...]

    def require(self, names: Sequence[str]) -> None:
        """Raise SourceError for a name that is no column."""
        for name in names:
            if name not in self.columns:
                known = ", ".join(self.columns)
                raise SourceError(f"{self.name} has no column {name!r}; it has {known}.")

    def tells_rows_apart(self, key: Sequence[str]) -> bool:
        """Whether the database itself sees to it that no two rows have the same key."""
        return bool(self.key) and set(self.key) <= set(key)


@dataclass
class Source:
    """An old database. `name` tells it from others, in what is kept of earlier runs."""

    engine: Engine
    name: str
    _tables: dict[str, SourceTable] = field(default_factory=dict)

    def table_names(self) -> list[str]:
        with _reading(self.engine) as connection:
            return sorted(inspect(connection).get_table_names())

    def table(self, name: str) -> SourceTable:
        """Raises SourceError where there is none."""
        if name not in self._tables:
            self._tables[name] = self._described(name)
        return self._tables[name]

    def count(self, name: str) -> int:
        with _reading(self.engine) as connection:
            return connection.scalar(select(func.count()).select_from(table(name))) or 0

    def without_key(self, of: SourceTable, key: Sequence[str]) -> int:
        """How many rows have null in a column of the key; pages() leaves them out."""
        nullable: list[Any] = [column(name) for name in key if of.columns[name].is_nullable]
        if not nullable:
            return 0
        query = select(func.count()).select_from(table(of.name))
        with _reading(self.engine) as connection:
            return connection.scalar(query.where(or_(*(each.is_(None) for each in nullable)))) or 0

    def pages(
        self,
        of: SourceTable,
        key: Sequence[str],
        columns: Sequence[str],
        size: int,
        after: Key | None,
        until: Key | None = None,
    ) -> Iterator[list[Row]]:
        """Rows in the order of their keys, from behind `after` on to `until`, so many at once.

        Each page is a short statement of its own, so that no transaction stays open in the old
        database, whatever takes long here. Rows of the same key stand one behind the other.
        """
        passed = 0
        while True:
            with _reading(self.engine) as connection:
                page = self._page(connection, of, key, columns, size, after, until, passed)
            if page:
                yield page
            if len(page) < size:
                return
            last = key_of(page[-1], key)
            if not of.tells_rows_apart(key):
                alike = 0
                while alike < len(page) and key_of(page[-1 - alike], key) == last:
                    alike += 1
                passed = alike + (passed if alike == len(page) and last == after else 0)
            after = last

    def sample(self, of: SourceTable, size: int) -> list[Row]:
        """Some rows, whichever come first."""
        names = list(of.columns)
        with _reading(self.engine) as connection:
            rows = connection.execute(_selected(of, names).limit(size)).all()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def words(self, of: SourceTable, name: str, most: int) -> list[Any]:
        """The different values of a column among its first rows; at most so many."""
        first = _selected(of, [name]).limit(10_000).subquery()
        query = select(first.c[name]).distinct().limit(most)
        with _reading(self.engine) as connection:
            return list(connection.scalars(query))

    def missing(self, of: SourceTable, key: Sequence[str], wanted: Sequence[str]) -> set[str]:
        """Which of some written keys have no row any more."""
        gone = set(wanted)
        compared: list[Any] = [column(name) for name in key]
        if self.engine.dialect.name == "postgresql":
            # It compares no number with a text; a cast would take the blanks of a CHAR away.
            compared = [func.concat(each, "") for each in compared]
        with _reading(self.engine) as connection:
            for start in range(0, len(wanted), _KEYS_AT_ONCE):
                some = [
                    self.key_sent(of, key, parts_of(each, len(key)))
                    for each in wanted[start : start + _KEYS_AT_ONCE]
                ]
                query = _selected(of, key).where(tuple_(*compared).in_(some))
                gone -= {written_key(tuple(row)) for row in connection.execute(query)}
        return gone

    def key_sent(self, of: SourceTable, key: Sequence[str], kept: Sequence[Any]) -> Key:
        """A key, of which each part may be the text that it was kept as, as it is compared."""
        # PostgreSQL reads bytes as we write them.
        is_read = self.engine.dialect.name == "postgresql"
        return tuple(
            bytes.fromhex(part.removeprefix(_BYTES))
            if of.columns[name].is_binary and isinstance(part, str) and not is_read
            else part
            for name, part in zip(key, kept, strict=True)
        )

    def _page(
        self,
        connection: Connection,
        of: SourceTable,
        key: Sequence[str],
        columns: Sequence[str],
        size: int,
        after: Key | None,
        until: Key | None,
        passed: int,
    ) -> list[Row]:
        names = list(dict.fromkeys((*key, *columns)))
        query = _selected(of, names)
        places = [self._place(of.columns[name]) for name in key]
        nullable: list[Any] = [column(name) for name in key if of.columns[name].is_nullable]
        if nullable:
            query = query.where(*(each.is_not(None) for each in nullable))
        if after is not None:
            # Of rows that share a key, those that were read are passed over by their number.
            query = query.where(_is_behind(places, after, or_same=bool(passed)))
        if until is not None:
            query = query.where(not_(_is_behind(places, until)))
        query = query.order_by(*places).limit(size)
        rows = connection.execute(query.offset(passed) if passed else query).all()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _described(self, name: str) -> SourceTable:
        try:
            with _reading(self.engine) as connection, warnings.catch_warnings():
                # Of a type that is not known, which matters to nobody who does not map it.
                warnings.simplefilter("ignore", SAWarning)
                reflected = Table(name, MetaData(), autoload_with=connection, resolve_fks=False)
        except NoSuchTableError as error:
            raise SourceError(f"The old database has no table {name!r}.") from error
        columns = {}
        for each in reflected.columns:
            refers = next((key.target_fullname.rsplit(".", 1) for key in each.foreign_keys), None)
            columns[str(each.name)] = SourceColumn(
                str(each.name),
                isinstance(each.type, TIMESTAMP) and self.engine.dialect.name == "mysql",
                tuple(each.type.enums) if isinstance(each.type, Enum) else (),
                (refers[0], refers[1]) if refers else None,
                isinstance(each.type, LargeBinary | BINARY | VARBINARY),
                bool(each.nullable),
                isinstance(each.type, Enum | SET) and self.engine.dialect.name == "mysql",
            )
        return SourceTable(name, columns, tuple(str(each.name) for each in reflected.primary_key))

    def _place(self, of: SourceColumn) -> Any:
        """By what a column is sorted and compared."""
        return cast(column(of.name), String(255)) if of.is_of_list else column(of.name)


@contextmanager
def opened_source(url: str, name: str | None = None) -> Iterator[Source]:
    """The old database of a URL, in sessions that refuse every change. Raises SourceError."""
    engine = _engine(url)
    try:
        with _reading(engine):
            pass
        yield Source(engine, name or _name_of(engine))
    finally:
        engine.dispose()


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    """A connection to the old database, whose errors tell of it and not of ours."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        shown = engine.url.set(query={}).render_as_string(hide_password=True)
        told = str(error.orig.args[-1] if error.orig and error.orig.args else error.orig)
        kind = SourceAway if is_outage(error) else SourceError
        raise kind(f"{shown} can't be read ({told.partition(chr(10))[0]}).") from error


def key_of(row: Row, key: Sequence[str]) -> Key:
    return tuple(row[name] for name in key)


def kept_part(part: Any) -> Any:
    """A part of a key as JSON keeps it, which key_sent() takes."""
    if isinstance(part, bytes):
        return _BYTES + part.hex()
    return part if isinstance(part, int | str) else str(part)


def written_key(key: Sequence[Any]) -> str:
    """What tells a row from others, as it is kept and shown."""
    parts = [str(kept_part(part)) for part in key]
    if len(parts) == 1:
        return parts[0]
    return "|".join(part.replace("%", "%25").replace("|", "%7C") for part in parts)


def parts_of(written: str, number: int) -> list[str]:
    """The parts of a written key of so many, as texts."""
    if number == 1:
        return [written]
    return [part.replace("%7C", "|").replace("%25", "%") for part in written.split("|")]


def _engine(url: str) -> Engine:
    try:
        full = sqlalchemy_url(url)
        url_given = make_url(full)
        kind = url_given.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise SourceError("The old database is a URL such as mysql://user@host/name.") from error
    if kind not in _READ_ONLY:
        known = ", ".join(("mysql", "mariadb", "postgresql", "sqlite"))
        raise SourceError(f"An old database of the kind {kind} can't be read, only {known}.")
    options: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS}
    if kind == "mysql":
        options |= {"read_timeout": _READ_SECONDS, "charset": "utf8mb4"}
        # What the operator says wins: servers from before 2010 know no utf8mb4.
        options = {name: each for name, each in options.items() if name not in url_given.query}
    if kind == "sqlite":
        options = {"timeout": _CONNECT_SECONDS}
        file = sqlite_file(full)
        if file is not None and not file.exists():
            # Opening it would make one.
            raise SourceError(f"There is no file {file}.")
    engine = create_engine(full, connect_args=options, pool_pre_ping=True, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for statement in _READ_ONLY[kind]:
            cursor.execute(statement)
        cursor.close()
        if kind == "sqlite":
            # It takes whatever bytes it is given for a text.
            connection.text_factory = decoded
        # PostgreSQL forgets what was set where the transaction is rolled back.
        connection.commit()

    return engine


def _name_of(engine: Engine) -> str:
    """What tells this database from others, whoever reads it."""
    url = engine.url
    kind = url.get_backend_name()
    port = None if url.port == _USUAL_PORTS.get(kind) else url.port
    place = f"{kind} {url.host} {port} {url.database}"
    return hashlib.sha256(place.encode()).hexdigest()[:12]


def _selected(of: SourceTable, names: Sequence[str]) -> Any:
    # Without the columns' types, so that what the old database holds comes as the driver gives it:
    # a zero date as a text, an empty word of an enum, JSON that is none.
    return select(*(column(name) for name in names)).select_from(table(of.name))


def _is_behind(places: Sequence[Any], after: Key, *, or_same: bool = False) -> Any:
    """Whether a row's key is greater; not by a comparison of tuples, which MySQL scans for."""
    found = []
    for depth, place in enumerate(places):
        same = [places[n] == after[n] for n in range(depth)]
        found.append(and_(*same, place > after[depth]))
    if or_same:
        found.append(and_(*(place == part for place, part in zip(places, after, strict=True))))
    return or_(*found)
