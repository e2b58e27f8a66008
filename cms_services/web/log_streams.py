"""A service's log as a file of JSON lines, and as server-sent events while it is written."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from flask import Flask, Response, stream_with_context

from cms_services.actor import Actor
from cms_services.bookmarks import Bookmark, rows_after
from cms_services.catalogue.access import load_service
from cms_services.database import AnyRow, AnySelect
from cms_services.downloads.names import file_name
from cms_services.monitoring.logs.search import Filter, filter_of, list_entries
from cms_services.monitoring.logs.tail import BLOCK, entries_of_blocks, stored_blocks
from cms_services.vocabulary import Permission
from cms_services.web.envelope import WireJSON
from cms_services.web.feeds import (
    Feed,
    Follower,
    Place,
    Told,
    current_feed,
    follow,
    place_of_reader,
    reset_to,
)
from cms_services.web.rows import dump_rows
from cms_services.web.schemas.log_batches import JSON_LINES
from cms_services.web.schemas.logs import LogEntryOut
from cms_services.web.streams import Streams
from cms_services.web.transactions import reading

_PAGE = 1000
# Blocks of what a tail missed: those that are read at once, and the most; beyond, its reader is to
# read everything anew.
_BLOCKS_AT_ONCE = 16
_MOST_MISSED = 2000
# Entries that were told before, of a filter.
_MOST_KNOWN = 20_000


def export_logs(actor: Actor, service_id: str, wanted: dict[str, Any]) -> Response:
    """All entries of a filter as lines, newest first, a page in memory at a time."""
    with reading():
        service = load_service(actor, service_id)
        name = file_name(service.name)
    lines = stream_with_context(_lines(actor, service_id, wanted))
    response = Response(lines, mimetype=JSON_LINES)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-logs.ndjson"'
    return response


def _lines(actor: Actor, service_id: str, wanted: dict[str, Any]) -> Iterator[bytes]:
    cursor: str | None = None
    while True:
        with reading():
            page = list_entries(actor, service_id, limit=_PAGE, cursor=cursor, **wanted)
        lines = dump_rows(LogEntryOut, page.items)
        yield b"".join(WireJSON.to_bytes(line) + b"\n" for line in lines)
        cursor = page.next_cursor
        if cursor is None:
            return


class Tail(Follower):
    """Somebody who follows entries of a filter."""

    def __init__(self, actor: Actor, place: Place, wanted: Filter) -> None:
        super().__init__(actor, place, wanted.until)
        self.wanted = wanted


class Known:
    """The newest entries that some tails were told: one may be among the numbers of two blocks."""

    def __init__(self, tails: Iterable[Tail]) -> None:
        self._tails = frozenset(tails)
        self._entries: dict[int, None] = {}

    def to(self, tails: Iterable[Tail]) -> "Known":
        """What these know, nothing where one of them has just come."""
        return self if self._tails.issuperset(tails) else Known(tails)

    def fresh(self, entries: Sequence[AnyRow]) -> list[AnyRow]:
        """Those of some entries that were not told, from now on known."""
        found = [entry for entry in entries if entry.id not in self._entries]
        self._entries.update(dict.fromkeys(entry.id for entry in found))
        for number in list(islice(self._entries, max(0, len(self._entries) - _MOST_KNOWN))):
            del self._entries[number]
        return found


class LogFeed(Feed[Tail]):
    """New entries of all services that are followed.

    No bell rings for them: where logs are written all the time, it would all the time.
    """

    number = BLOCK
    look_seconds = 0.5
    # Blocks, of up to 250 entries each.
    most_at_once = 100

    def __init__(self, app: Flask, streams: Streams) -> None:
        super().__init__(app, streams)
        self._known: dict[Filter, Known] = {}

    def rows(self) -> AnySelect:
        return stored_blocks()

    def tell(
        self, rows: Sequence[AnyRow], marks: Sequence[Bookmark], followers: Sequence[Tail]
    ) -> list[Told[Tail]]:
        tails: dict[Filter, list[Tail]] = defaultdict(list)
        for tail in followers:
            tails[tail.wanted].append(tail)
        self._known = {
            wanted: self._known[wanted].to(of_filter) if wanted in self._known else Known(of_filter)
            for wanted, of_filter in tails.items()
        }
        blocks: dict[str, list[AnyRow]] = defaultdict(list)
        for row in rows:
            blocks[row.service_id].append(row)
        told = []
        for wanted, of_filter in tails.items():
            found = entries_of_blocks(blocks.get(wanted.service_id, ()), wanted)
            entries = self._known[wanted].fresh(found)
            if entries:
                told.append(Told(_as_events(entries, marks[-1]), of_filter))
        return told

    async def missed(self, follower: Tail, start: Bookmark) -> AsyncIterator[bytes]:
        query = stored_blocks(follower.wanted.service_id).where(start.has(BLOCK))
        rows = await self.in_database(rows_after, follower.mark, query, BLOCK, _MOST_MISSED + 1)
        if len(rows) > _MOST_MISSED:
            yield reset_to(start)
            return
        marks = list(follower.mark.after([row.id for row in rows], start.missing))
        for first in range(0, len(rows), _BLOCKS_AT_ONCE):
            page = rows[first : first + _BLOCKS_AT_ONCE]
            entries = await self.in_database(entries_of_blocks, page, follower.wanted)
            if entries:
                yield _as_events(entries, marks[first + len(page) - 1])


def tail_logs(actor: Actor, service_id: str, wanted: dict[str, Any]) -> Response:
    """Entries of a filter as they are stored, until `until`, behind the Last-Event-ID if any.

    Raises NotReady where too many follow already, or the caller itself does so too often.
    """
    feed = current_feed(LogFeed)
    with reading():
        service = load_service(actor, service_id)
        tail = Tail(actor, place_of_reader(feed), filter_of(service.id, **wanted))

    def may_go_on(present: Actor) -> bool:
        present.require(Permission.SERVICES_READ)
        load_service(present, service_id)
        return True

    return follow(feed, tail, may_go_on)


def _as_events(entries: Sequence[AnyRow], mark: Bookmark) -> bytes:
    """Entries as events, of which the last says where whoever has read them all may go on."""
    # JSON has no line breaks of its own, which would end an event's data.
    events = [
        b"data: " + WireJSON.to_bytes(each) + b"\n\n" for each in dump_rows(LogEntryOut, entries)
    ]
    events[-1] = f"id: {mark}\n".encode() + events[-1]
    return b"".join(events)
