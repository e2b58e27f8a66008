"""A run of the import: table after table, page after page, each page one transaction.

It can end at any moment. What is committed is known: of single rows by imported_rows, of long
tables by the position that is moved on in the transaction that takes a page.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from cms_services.audit.trail import record
from cms_services.database import begin_writing
from cms_services.extensions import db
from cms_services.importing.findings import About, Finding, Report, Tally, Tell
from cms_services.importing.log_rows import LogRows
from cms_services.importing.mapping import Mapped
from cms_services.importing.merging import Merger
from cms_services.importing.metric_rows import MetricRows
from cms_services.importing.models import ImportedRow, ImportPosition
from cms_services.importing.people import MemberStore, ProjectStore, UserStore
from cms_services.importing.reading import KEY_SEPARATOR, Reader
from cms_services.importing.services import ServiceStore
from cms_services.importing.source import Row, Source, key_of
from cms_services.importing.stores import IMPORTER, Known, Store
from cms_services.vocabulary import EventType

_ROWS_OF_PAGE = 200
# So many that each of several services gets whole blocks of log entries out of it.
_ROWS_OF_STREAM_PAGE = 2500
# Rows that become visible behind a later one were written by slower transactions. So many rows
# before the last one are looked at again.
_LOOK_BACK = 500
_GONE_AT_ONCE = 500
_ANOTHER = "Another import from this database is at work; let it end first."


class AnotherRun(Exception):
    """Another import from the same database is at work."""


class Progress(Protocol):
    """Who is told how far a run is."""

    def begin(self, entity: str, table: str, rows: int) -> None: ...

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

    def __post_init__(self) -> None:
        """Raises SourceError for a table or a column that is not there."""
        self.readers = {
            name: Reader.of(self.source, self.mapped, each)
            for name, each in self.mapped.entities.items()
        }

    def run(self, *, only_new: bool = False) -> Report:
        """Read all tables, or of long ones only what is new, and tell what it came to.

        Raises AnotherRun, and what the databases raise.
        """
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
                self.progress.begin(name, reader.table.name, self.source.count(reader.table.name))
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
        told: Callable[[Report], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> Report:
        """Run again and again until `stop` is set, long tables whole only now and then.

        `every` and `whole_every` are seconds. Returns the last report.
        """
        last_whole = clock()
        report = self.run()
        told(report)
        while not self.stop.wait(every):
            whole = clock() - last_whole >= whole_every
            if whole:
                last_whole = clock()
            report = self.run(only_new=not whole)
            told(report)
        return report

    def _read_rows(self, reader: Reader, known: Known, tally: Tally) -> None:
        store = _store_of(reader, known)
        merger = Merger(self.source.name, store, reader, self.options.overwrite, self.tell, tally)
        mapping = reader.mapping
        for page in self.source.pages(
            reader.table, mapping.key, mapping.columns, _ROWS_OF_PAGE, None
        ):
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
            keys = [tuple(key.split(KEY_SEPARATOR)) for key, _ in page]
            gone = self.source.missing(reader.table, reader.mapping.key, keys)
            for key, target_id in page:
                if tuple(key.split(KEY_SEPARATOR)) in gone:
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
            self._tell_gone(reader, key, "It is no longer there; here it is as it was.")
        elif row.digests:
            ended = store.end(target_id)
            # So that it is told once, and comes back here when it comes back there.
            row.digests = {}
            tally.gone += not ended
            tally.updated += ended
            what = "it was ended here" if ended else "here it is as it was"
            self._tell_gone(reader, key, f"It is no longer there; {what}.")

    def _tell_gone(self, reader: Reader, key: str, reason: str) -> None:
        name = reader.mapping.entity.name
        self.tell(Finding(About.GONE, name, reader.table.name, key, reason))

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
        rows = _stream_of(reader, known, self.source.name, self.tell, tally)
        state = self._position(entity) or {"recent": [], "finished": False}
        anew = entity == "logs" and state["finished"] and not only_new
        # The last rows that were read, in their order; they are looked at again for others between.
        recent = [] if anew else list(state["recent"])
        window = recent[:1]
        seen = {KEY_SEPARATOR.join(map(str, key)): key for key in recent[1:]}
        finished = state["finished"] and not anew
        kept = None if only_new and entity == "logs" else tally
        for page in self.source.pages(
            reader.table,
            reader.mapping.key,
            reader.mapping.columns,
            _ROWS_OF_STREAM_PAGE,
            tuple(recent[0]) if recent else None,
        ):
            fresh = [row for row in page if seen.pop(reader.key(row), None) is None]
            window = [*window, *(_kept_key(row, reader) for row in page)][-_LOOK_BACK:]
            # With those that are still to come, unless this page is the last one.
            to_come = seen.values() if len(page) == _ROWS_OF_STREAM_PAGE else ()
            recent = [*window, *to_come]
            self._begin()
            if fresh:
                rows.take(fresh)
                self._move(entity, state, recent, kept, finished)
            self._commit()
            self.progress.advance(len(fresh))
            if self.stop.is_set():
                return
        if not finished:
            self._begin()
            self._move(entity, state, recent, kept, True)
            self._commit()
        if entity == "metrics":
            tally.missed = max(0, self.source.count(reader.table.name) - tally.read)

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
        position.state = dict(state)
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


def _store_of(reader: Reader, known: Known) -> Store:
    mapping = reader.mapping
    match mapping.entity.name:
        case "users":
            return UserStore(known)
        case "projects":
            return ProjectStore(known)
        case "members":
            return MemberStore(known)
    return ServiceStore(mapping, known, reader.repair)


def _stream_of(
    reader: Reader, known: Known, source: str, tell: Tell, tally: Tally
) -> LogRows | MetricRows:
    made = LogRows if reader.mapping.entity.name == "logs" else MetricRows
    return made(source, reader, known, tell, tally)


def _kept_key(row: Row, reader: Reader) -> list[Any]:
    """A key as JSON keeps it, which the old database still compares as it was."""
    key = key_of(row, reader.mapping.key)
    return [part if isinstance(part, int | str) else str(part) for part in key]
