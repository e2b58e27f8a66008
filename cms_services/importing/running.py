"""A run of the import: table after table, page after page, each page one transaction.

It can end at any moment. What is committed is known: of single rows by imported_rows, of long
tables by the position that is moved on in the transaction that takes a page.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError

from cms_services.audit.trail import record
from cms_services.database import begin_writing, is_outage
from cms_services.extensions import db
from cms_services.importing.findings import About, Finding, Report, Tally, Tell
from cms_services.importing.log_rows import LogRows
from cms_services.importing.mapping import Mapped
from cms_services.importing.merging import Merger, told
from cms_services.importing.metric_rows import MetricRows
from cms_services.importing.models import ImportedRow, ImportPosition
from cms_services.importing.people import MemberStore, ProjectStore, UserStore
from cms_services.importing.reading import Reader
from cms_services.importing.services import ServiceStore
from cms_services.importing.source import (
    Row,
    Source,
    SourceAway,
    kept_part,
    key_of,
    written_key,
)
from cms_services.importing.stores import IMPORTER, Known, Store
from cms_services.vocabulary import EventType

_ROWS_OF_PAGE = 200
# So many that each of several services gets whole blocks of log entries out of it.
_ROWS_OF_STREAM_PAGE = 2500
# Rows that become visible behind a later one were written by slower transactions. So many rows
# before the last one are looked at again.
_LOOK_BACK = 500
_GONE_AT_ONCE = 500
_LONGEST_WAIT = 60.0
_ANOTHER = "Another import from this database is at work; let it end first."


class TargetAway(Exception):
    """Our own database does not answer just now."""


class AnotherRun(Exception):
    """Another import from the same database is at work."""


class Progress(Protocol):
    """Who is told how far a run is."""

    def begin(self, entity: str, table: str, rows: int | None) -> None:
        """A table is begun; of None rows only those that are new."""

    def advance(self, rows: int) -> None: ...

    def end(self, tally: Tally) -> None: ...


@dataclass(frozen=True)
class Options:
    """How a run goes about it.

    `dry` undoes everything at the end. `overwrite` has what was changed here give way to the old
    database. `end_missing` ends what is gone there.
    """

    dry: bool = False
    overwrite: bool = False
    end_missing: bool = False


@dataclass
class Import:
    """What it takes to run. `stop` is set by who wants it to end after the page it is at."""

    source: Source
    mapped: Mapped
    options: Options
    tell: Tell
    progress: Progress
    stop: Event = field(default_factory=Event)
    readers: dict[str, Reader] = field(init=False)
    _missed: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Raises SourceError for a table or a column that is not there."""
        self.readers = {
            name: Reader.of(self.source, self.mapped, each)
            for name, each in self.mapped.entities.items()
        }

    def run(self, *, only_new: bool = False) -> Report:
        """Read all tables, or of long ones only what is new, and tell what it came to.

        Raises AnotherRun, TargetAway and SourceError.
        """
        try:
            return self._run(only_new)
        except DBAPIError as error:
            if is_outage(error):
                raise TargetAway(f"Our database does not answer ({told(error)}).") from error
            raise

    def _run(self, only_new: bool) -> Report:
        report = Report(dry=self.options.dry)
        db.session.rollback()
        if self.options.dry:
            self._begin()
        changed = False
        users = self.mapped.entities.get("users")
        known = Known(users.same_as if users is not None else {})
        try:
            for name, reader in self.readers.items():
                tally = report.tallies[name] = self._tally(reader, only_new)
                before = tally.taken + tally.updated
                only_new_rows = only_new and reader.mapping.entity.is_stream
                # Counting a long table every few seconds would be felt there.
                count = None if only_new_rows else self.source.count(reader.table.name)
                self.progress.begin(name, reader.table.name, count)
                if reader.mapping.entity.is_stream:
                    self._read_stream(reader, known, tally, only_new)
                else:
                    self._read_rows(reader, known, tally)
                self.progress.end(tally)
                changed |= tally.taken + tally.updated > before
                if self.stop.is_set():
                    report.stopped = True
                    break
            if changed:
                self._record(report)
        finally:
            # Also ends a dry run.
            db.session.rollback()
        return report

    def follow(
        self,
        every: float,
        whole_every: float,
        tell_report: Callable[[Report], None],
        tell_trouble: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> Report:
        """Run again and again until `stop` is set, long tables whole only now and then.

        `every` and `whole_every` are seconds. While a database does not answer it is tried again,
        less and less often, which is told. Returns the last report.
        """
        report = Report(stopped=True)
        last_whole: float | None = None
        wait = every
        while True:
            began = clock()
            whole = last_whole is None or began - last_whole >= whole_every
            try:
                report = self.run(only_new=not whole)
            except (SourceAway, TargetAway) as error:
                wait = min(max(1.0, 2 * wait), max(_LONGEST_WAIT, every))
                tell_trouble(f"{error} It is tried again in {wait:g} s.")
            else:
                wait = every
                last_whole = began if whole else last_whole
                tell_report(report)
            if self.stop.wait(wait):
                return report

    def _read_rows(self, reader: Reader, known: Known, tally: Tally) -> None:
        store = _store_of(self.source.name, reader, known)
        merger = Merger(self.source.name, store, reader, self.options.overwrite, self.tell, tally)
        self._tell_without_key(reader, tally)
        for page, _ in self._pages(reader, tally, _ROWS_OF_PAGE, None):
            self._begin()
            merger.merge(page)
            self._commit()
            self.progress.advance(len(page))
            if self.stop.is_set():
                return
        self._look_for_gone(reader, store, tally)

    def _look_for_gone(self, reader: Reader, store: Store, tally: Tally) -> None:
        """Tell, and perhaps end, what was taken and is no longer there."""
        after = ""
        while page := self._taken(reader.mapping.entity.name, after):
            after = page[-1][0]
            keys = [key for key, _ in page]
            gone = self.source.missing(reader.table, reader.mapping.key, keys)
            for key, target_id in page:
                if key in gone:
                    self._begin()
                    self._end(reader, store, tally, key, target_id)
                    self._commit()

    def _taken(self, entity: str, after: str) -> Sequence[tuple[str, str]]:
        query = select(ImportedRow.source_key, ImportedRow.target_id).where(
            ImportedRow.source == self.source.name,
            ImportedRow.entity == entity,
            ImportedRow.source_key > after,
        )
        rows = db.session.execute(query.order_by(ImportedRow.source_key).limit(_GONE_AT_ONCE))
        found = [(row.source_key, row.target_id) for row in rows]
        self._end_reading()
        return found

    def _end(self, reader: Reader, store: Store, tally: Tally, key: str, target_id: str) -> None:
        row = db.session.get_one(ImportedRow, (self.source.name, reader.mapping.entity.name, key))
        if not self.options.end_missing:
            tally.gone += 1
            self._tell_row(About.GONE, reader, key, "It is no longer there; here it is as it was.")
        elif row.digests:
            ended = store.end(target_id)
            # So that it is told once, and comes back here when it comes back there.
            row.digests = {}
            tally.gone += not ended
            tally.updated += ended
            what = "it was ended here" if ended else "here it is as it was"
            self._tell_row(About.GONE, reader, key, f"It is no longer there; {what}.")

    def _tell_row(self, about: About, reader: Reader, key: str, reason: str) -> None:
        name = reader.mapping.entity.name
        self.tell(Finding(about, name, reader.table.name, key, reason))

    def _tally(self, reader: Reader, only_new: bool) -> Tally:
        """An empty one, or of a long table that of where the last run came to."""
        entity = reader.mapping.entity.name
        state = self._position(entity) if reader.mapping.entity.is_stream else None
        if state is None or (entity == "logs" and (state["finished"] or only_new)):
            return Tally()
        return Tally.from_json(state["tally"])

    def _read_stream(self, reader: Reader, known: Known, tally: Tally, only_new: bool) -> None:
        """Read a long table from where the last run came to on.

        Logs are read from the beginning again once they were read to the end, since every row can
        be compared with what is here; metrics never are.
        """
        entity = reader.mapping.entity.name
        state = self._position(entity) or {"recent": [], "finished": False}
        rows = _stream_of(reader, known, self.source.name, self.tell, tally)
        if isinstance(rows, MetricRows):
            rows.absent = {
                name: (each[0], each[1]) for name, each in state.pop("absent", {}).items()
            }
            self._take_arrived(reader, rows, state)
        anew = entity == "logs" and state["finished"] and not only_new
        # The last rows that were read, in their order; they are looked at again for others between.
        recent = [] if anew else list(state["recent"])
        window = recent[:1]
        seen = {written_key(key): key for key in recent[1:]}
        finished = state["finished"] and not anew
        kept = None if only_new and entity == "logs" else tally
        if not recent:
            self._tell_without_key(reader, tally)
        begin = recent[0] if recent else None
        for page, is_last in self._pages(reader, tally, _ROWS_OF_STREAM_PAGE, begin, {*seen}):
            fresh = [row for row in page if seen.pop(reader.key(row), None) is None]
            if isinstance(rows, MetricRows):
                rows.after = window[-1] if window else None
            window = [*window, *(_kept_key(row, reader) for row in page)][-_LOOK_BACK:]
            # With those that are still to come, unless this page is the last one.
            recent = [*window, *(() if is_last else seen.values())]
            self._begin()
            if fresh:
                rows.take(fresh)
                self._move(entity, state, recent, kept, finished, rows)
            self._commit()
            self.progress.advance(len(fresh))
            if self.stop.is_set():
                return
        if not finished:
            self._begin()
            self._move(entity, state, recent, kept, True, rows)
            self._commit()
        if entity == "metrics":
            if not only_new:
                self._missed = max(0, self.source.count(reader.table.name) - tally.read)
            tally.missed = self._missed

    def _take_arrived(self, reader: Reader, rows: MetricRows, state: dict[str, Any]) -> None:
        """Take what was rejected for want of its service, of services that are here by now.

        Only rows that were read: those behind the last ones, or among them.
        """
        again = state.get("again")
        if again is None:
            arrived = [each for each in rows.absent if rows.known.has_service(each)]
            if not arrived:
                return
            found = [rows.absent.pop(each) for each in arrived]
            rows.tally.read -= sum(count for count, _ in found)
            rows.tally.rejected -= sum(count for count, _ in found)
            after = _first_key([after for _, after in found])
            again = state["again"] = {"services": arrived, "after": after, "among": False}
        recent = state["recent"]
        last_ones = {written_key(key) for key in recent[1:]}
        for among in (False, True):
            if again["among"] and not among:
                continue
            until = recent[-1] if among else recent[0]
            for page, _ in self._pages(
                reader, None, _ROWS_OF_STREAM_PAGE, again["after"], until=until
            ):
                again["after"] = _kept_key(page[-1], reader)
                read = [row for row in page if not among or reader.key(row) in last_ones]
                self._begin()
                rows.take_of(again["services"], read)
                self._move("metrics", state, recent, rows.tally, state["finished"], rows)
                self._commit()
                if self.stop.is_set():
                    return
            again |= {"after": recent[0], "among": True}
        del state["again"]
        self._begin()
        self._move("metrics", state, recent, rows.tally, state["finished"], rows)
        self._commit()

    def _pages(
        self,
        reader: Reader,
        tally: Tally | None,
        size: int,
        after: Sequence[Any] | None,
        known: Collection[str] = (),
        until: Sequence[Any] | None = None,
    ) -> Iterator[tuple[list[Row], bool]]:
        """Pages of rows that differ in their key, each with whether it is the last one.

        Those that have the key of another are told where there is a tally, unless it is among the
        known.
        """
        mapping, table = reader.mapping, reader.table
        begin, end = (
            None if each is None else self.source.key_sent(table, mapping.key, each)
            for each in (after, until)
        )
        last = None if after is None else written_key(after)
        for page in self.source.pages(table, mapping.key, mapping.columns, size, begin, end):
            apart = []
            for row in page:
                key = reader.key(row)
                if key != last:
                    apart.append(row)
                elif tally is not None and key not in known:
                    tally.read += 1
                    tally.rejected += 1
                    self._tell_row(About.REJECTED, reader, key, "Another row has the same key.")
                last = key
            if apart:
                yield apart, len(page) < size

    def _tell_without_key(self, reader: Reader, tally: Tally) -> None:
        count = self.source.without_key(reader.table, reader.mapping.key)
        if count:
            tally.read += count
            tally.rejected += count
            key = ", ".join(reader.mapping.key)
            self._tell_row(About.REJECTED, reader, "", f"{count} rows have nothing in {key}.")

    def _position(self, entity: str) -> dict[str, Any] | None:
        found = db.session.get(ImportPosition, (self.source.name, entity))
        state = None if found is None else dict(found.state)
        self._end_reading()
        return state

    def _move(
        self,
        entity: str,
        state: dict[str, Any],
        recent: list[list[Any]],
        tally: Tally | None,
        finished: bool,
        rows: LogRows | MetricRows,
    ) -> None:
        """Note how far the reading is. `state` becomes what is stored. Raises AnotherRun."""
        position = db.session.get(
            ImportPosition, (self.source.name, entity), with_for_update=True, populate_existing=True
        )
        stored = None if position is None else position.state
        if stored is not None and stored.get("moves") != state.get("moves"):
            raise AnotherRun(_ANOTHER)
        state["moves"] = state.get("moves", 0) + 1
        state["recent"], state["finished"] = recent, finished
        if tally is not None:
            state["tally"] = tally.as_json()
        if position is None:
            position = ImportPosition(source=self.source.name, entity=entity)
            db.session.add(position)
        absent = {"absent": rows.absent} if isinstance(rows, MetricRows) else {}
        position.state = state | absent
        try:
            db.session.flush()
        except IntegrityError as error:
            raise AnotherRun(_ANOTHER) from error

    def _begin(self) -> None:
        if not db.session().in_transaction():
            begin_writing(db.session())

    def _end_reading(self) -> None:
        """So that the next transaction begins as one that writes; a dry run has but one."""
        if not self.options.dry:
            db.session.rollback()

    def _commit(self) -> None:
        if self.options.dry:
            db.session.flush()
        else:
            db.session.commit()
        # Objects of pages that are done would fill the memory.
        db.session.expunge_all()

    def _record(self, report: Report) -> None:
        """The run itself in the audit trail, without its rows of long tables."""
        self._begin()
        changes = {
            "source": self.source.name,
            "entities": {
                name: {count: getattr(each, count) for count in Tally.COUNTS}
                for name, each in report.tallies.items()
            },
        }
        record(IMPORTER, EventType.DATA_IMPORTED, "import", self.source.name, None, changes)
        self._commit()


def _store_of(source: str, reader: Reader, known: Known) -> Store:
    mapping = reader.mapping
    match mapping.entity.name:
        case "users":
            return UserStore(known)
        case "projects":
            return ProjectStore(known)
        case "members":
            return MemberStore(known)
    return ServiceStore(source, mapping, known, reader.repair)


def _stream_of(
    reader: Reader, known: Known, source: str, tell: Tell, tally: Tally
) -> LogRows | MetricRows:
    made = LogRows if reader.mapping.entity.name == "logs" else MetricRows
    return made(source, reader, known, tell, tally)


def _kept_key(row: Row, reader: Reader) -> list[Any]:
    """A key as JSON keeps it, which the old database still compares as it was."""
    return [kept_part(part) for part in key_of(row, reader.mapping.key)]


def _first_key(keys: Sequence[list[Any] | None]) -> list[Any] | None:
    """One that none is before; None, which is the beginning, where the database alone can tell."""
    if any(key is None or not all(type(part) is int for part in key) for key in keys):
        return None
    return min(key for key in keys if key is not None)
