"""Log rows of an old database, brought here: each once, by an id that is made of its key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Table, select
from sqlalchemy.exc import DBAPIError

from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.database import is_outage
from cms_services.extensions import db
from cms_services.importing.conversion import Refused
from cms_services.importing.findings import About, Finding, Tally, Tell, digest
from cms_services.importing.merging import told
from cms_services.importing.reading import Reader
from cms_services.importing.source import Row
from cms_services.importing.stores import Known, Values
from cms_services.monitoring.logs.ingest import store_entries
from cms_services.monitoring.logs.masking import mask_entry
from cms_services.monitoring.logs.models import LogEntry
from cms_services.monitoring.logs.retention import retention_of
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.settings import current_settings
from cms_services.vocabulary import LogLevel

_ENTRIES: Table = LogEntry.__table__  # type: ignore[assignment]
_COLUMNS = tuple(
    _ENTRIES.c[name]
    for name in ("client_id", "at", "level", "message", "source", "attributes", "trace_id")
)
_LONGEST_TRACE, _LONGEST_ID = 64, 255
# MariaDB takes no statement of more than 16 MiB by default, and a character may take four bytes.
_LONGEST_MESSAGE = 2 * 1024**2


@dataclass
class LogRows:
    """Takes pages of log rows. One that is here already is only compared."""

    source: str
    reader: Reader
    known: Known
    tell: Tell
    tally: Tally
    _retention: dict[str, datetime] = field(default_factory=dict)

    def take(self, rows: Sequence[Row]) -> None:
        """In the caller's transaction; what can't be taken leaves nothing of itself."""
        self.tally.read += len(rows)
        self.known.begin_page()
        by_service: dict[str, list[tuple[str, NewLogEntry]]] = {}
        for row in rows:
            key = self.reader.key(row)
            try:
                service_id, entry = self._entry(key, row)
            except Refused as error:
                self._tell(About.REJECTED, key, str(error))
                self.tally.rejected += 1
                continue
            if entry.at is not None and entry.at < self._oldest(service_id):
                self.tally.outdated += 1
                continue
            by_service.setdefault(service_id, []).append((key, entry))
        for service_id, entries in by_service.items():
            self._take_of(service_id, entries)

    def _take_of(self, service_id: str, entries: list[tuple[str, NewLogEntry]]) -> None:
        wanted = {str(each.client_id): each for _, each in entries}
        before = self._here(service_id, wanted)
        new = [pair for pair in entries if pair[1].client_id not in before]
        if new:
            self._store(service_id, new)
        after = before | (self._here(service_id, [str(e.client_id) for _, e in new]) if new else {})
        for key, entry in entries:
            client_id = str(entry.client_id)
            here = after.get(client_id)
            if here is None:
                continue
            values = _values(entry)
            self.tally.add_source(client_id, values)
            self.tally.add_here(client_id, here)
            if client_id not in before:
                self.tally.taken += 1
            elif digest(values) == digest(here):
                self.tally.unchanged += 1
            else:
                self.tally.conflicts += 1
                self._tell(About.CONFLICT, key, "It was changed there; what is logged here stays.")

    def _store(self, service_id: str, entries: list[tuple[str, NewLogEntry]]) -> None:
        """Store entries; where the database refuses them, halve after halve to find which."""
        for index, (_, entry) in enumerate(entries):
            entry.index = index
        try:
            with db.session.begin_nested():
                stored = store_entries(
                    service_id, [entry for _, entry in entries], masking=False, bounded=False
                )
        except (DBAPIError, ValueError, TypeError) as error:
            if isinstance(error, DBAPIError) and is_outage(error):
                raise
            if len(entries) == 1:
                self.tally.rejected += 1
                self._tell(About.REJECTED, entries[0][0], told(error))
                return
            middle = len(entries) // 2
            self._store(service_id, entries[:middle])
            self._store(service_id, entries[middle:])
            return
        for each in stored.rejected:
            self.tally.rejected += 1
            self._tell(About.REJECTED, entries[each.index][0], each.message)

    def _entry(self, key: str, row: Row) -> tuple[str, NewLogEntry]:
        values = self.reader.values(row)
        service_id = values["service_id"]
        if not self.known.has_service(service_id):
            raise Refused(f"service_id: there is no service {service_id} here.")
        at = values["at"]
        if at is None:
            raise Refused("at: it has no time.")
        if len(values["message"]) > _LONGEST_MESSAGE:
            raise Refused(f"message: takes at most {_LONGEST_MESSAGE} characters.")
        attributes = values.get("attributes") or {}
        trace_id = values.get("trace_id") or None
        if trace_id is not None and len(trace_id) > _LONGEST_TRACE:
            attributes, trace_id = attributes | {"traceId": trace_id}, None
        entry = NewLogEntry(
            level=LogLevel(values.get("level") or LogLevel.INFO),
            message=values["message"],
            at=at,
            source=values.get("source") or "",
            attributes=attributes,
            trace_id=trace_id,
            client_id=self._client_id(key),
        )
        if current_settings().log_masking:
            mask_entry(entry)
        return service_id, entry

    def _client_id(self, key: str) -> str:
        found = f"{self.source}:{self.reader.table.name}:{key}"
        return found if len(found) <= _LONGEST_ID else f"{self.source}:{digest(found, 32)}"

    def _here(self, service_id: str, client_ids: Any) -> dict[str, Values]:
        query = select(*_COLUMNS).where(
            _ENTRIES.c.service_id == service_id, _ENTRIES.c.client_id.in_(list(client_ids))
        )
        return {
            row.client_id: {
                "at": row.at,
                "level": row.level,
                "message": row.message,
                "source": row.source,
                "attributes": _plain(row.attributes),
                "trace_id": row.trace_id,
            }
            for row in db.session.execute(query)
        }

    def _oldest(self, service_id: str) -> datetime:
        if service_id not in self._retention:
            document = db.session.scalar(select(Service.config).where(Service.id == service_id))
            kept = retention_of(document, current_settings().log_retention)
            self._retention[service_id] = now() - kept
        return self._retention[service_id]

    def _tell(self, about: About, key: str, reason: str) -> None:
        self.tell(Finding(about, "logs", self.reader.table.name, key, reason))


def _values(entry: NewLogEntry) -> Values:
    return {
        "at": entry.at,
        "level": entry.level.value,
        "message": entry.message,
        "source": entry.source,
        "attributes": _plain(entry.attributes),
        "trace_id": entry.trace_id,
    }


def _plain(attributes: Mapping[str, Any] | str | None) -> Any:
    # SQLite gives back the text that was written past the column's type.
    return orjson.loads(attributes) if isinstance(attributes, str) else dict(attributes or {})
