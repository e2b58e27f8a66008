"""The old database: opened to read only, described by reflection, and read in pages by key."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
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
    or_,
    select,
    table,
    tuple_,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError
from sqlalchemy.types import TIMESTAMP, Enum

from cms_services.database import sqlalchemy_url

_CONNECT_SECONDS = 10
_READ_SECONDS = 300
_KEYS_AT_ONCE = 500

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


@dataclass(frozen=True)
class SourceColumn:
    """A column as the old database describes it; `words` are those of an enum."""

    name: str
    kind: str
    # Whether its times are of UTC whatever the zone of the others.
    is_utc: bool = False
    words: tuple[str, ...] = ()
    refers_to: tuple[str, str] | None = None


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

    def pages(
        self,
        of: SourceTable,
        key: Sequence[str],
        columns: Sequence[str],
        size: int,
        after: Key | None,
    ) -> Iterator[list[Row]]:
        """Rows in the order of their keys, from behind `after` on, so many at once.

        Each page is a short statement of its own, so that no transaction stays open in the old
        database, whatever takes long here.
        """
        with _reading(self.engine) as connection:
            while page := self._page(connection, of, key, columns, size, after):
                yield page
                if len(page) < size:
                    return
                after = key_of(page[-1], key)

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

    def missing(self, of: SourceTable, key: Sequence[str], wanted: Sequence[Key]) -> set[Key]:
        """Which of some keys have no row any more."""
        gone = set(wanted)
        columns: list[Any] = [column(name) for name in key]
        if self.engine.dialect.name == "postgresql":
            # It compares no number with a text.
            columns = [cast(each, String) for each in columns]
        with _reading(self.engine) as connection:
            for start in range(0, len(wanted), _KEYS_AT_ONCE):
                some = wanted[start : start + _KEYS_AT_ONCE]
                query = (
                    select(*columns).select_from(table(of.name)).where(tuple_(*columns).in_(some))
                )
                gone -= {tuple(str(part) for part in row) for row in connection.execute(query)}
        return gone

    def _page(
        self,
        connection: Connection,
        of: SourceTable,
        key: Sequence[str],
        columns: Sequence[str],
        size: int,
        after: Key | None,
    ) -> list[Row]:
        names = list(dict.fromkeys((*key, *columns)))
        query = _selected(of, names)
        if after is not None:
            query = query.where(_is_behind(key, after))
        query = query.order_by(*(column(name) for name in key)).limit(size)
        rows = connection.execute(query).all()
        connection.rollback()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _described(self, name: str) -> SourceTable:
        try:
            with _reading(self.engine) as connection:
                reflected = Table(name, MetaData(), autoload_with=connection, resolve_fks=False)
        except NoSuchTableError as error:
            raise SourceError(f"The old database has no table {name!r}.") from error
        columns = {}
        for each in reflected.columns:
            refers = next((key.target_fullname.rsplit(".", 1) for key in each.foreign_keys), None)
            columns[str(each.name)] = SourceColumn(
                str(each.name),
                str(each.type.compile(self.engine.dialect)).lower(),
                isinstance(each.type, TIMESTAMP) and self.engine.dialect.name == "mysql",
                tuple(each.type.enums) if isinstance(each.type, Enum) else (),
                (refers[0], refers[1]) if refers else None,
            )
        return SourceTable(name, columns, tuple(str(each.name) for each in reflected.primary_key))


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
        raise SourceError(f"{shown} can't be read ({told.partition(chr(10))[0]}).") from error


def key_of(row: Row, key: Sequence[str]) -> Key:
    return tuple(row[name] for name in key)


def _engine(url: str) -> Engine:
    try:
        full = sqlalchemy_url(url)
        kind = make_url(full).get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise SourceError("The old database is a URL such as mysql://user@host/name.") from error
    if kind not in _READ_ONLY:
        known = ", ".join(("mysql", "mariadb", "postgresql", "sqlite"))
        raise SourceError(f"An old database of the kind {kind} can't be read, only {known}.")
    options: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS}
    if kind == "mysql":
        options |= {"read_timeout": _READ_SECONDS, "charset": "utf8mb4"}
    if kind == "sqlite":
        options = {"timeout": _CONNECT_SECONDS}
    engine = create_engine(full, connect_args=options, pool_pre_ping=True, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for statement in _READ_ONLY[kind]:
            cursor.execute(statement)
        cursor.close()
        # PostgreSQL forgets what was set where the transaction is rolled back.
        connection.commit()

    return engine


def _name_of(engine: Engine) -> str:
    """What tells this database from others, whoever reads it."""
    url = engine.url
    place = f"{url.get_backend_name()} {url.host} {url.port} {url.database}"
    return hashlib.sha256(place.encode()).hexdigest()[:12]


def _selected(of: SourceTable, names: Sequence[str]) -> Any:
    # Without the columns' types, so that what the old database holds comes as the driver gives it:
    # a zero date as a text, an empty word of an enum, JSON that is none.
    return select(*(column(name) for name in names)).select_from(table(of.name))


def _is_behind(key: Sequence[str], after: Key) -> Any:
    """Whether a row's key is greater; not by a comparison of tuples, which MySQL scans for."""
    places = []
    for depth, name in enumerate(key):
        same = [column(key[n]) == after[n] for n in range(depth)]
        places.append(and_(*same, column(name) > after[depth]))
    return or_(*places)
