"""A service's log as a file of JSON lines, and as server-sent events while it is written."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from flask import Response, current_app, stream_with_context
from sqlalchemy.exc import SQLAlchemyError

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.clock import now
from cms_services.downloads.names import file_name
from cms_services.errors import DomainError, NotReady
from cms_services.monitoring.logs.search import filter_of, list_entries
from cms_services.monitoring.logs.tail import Tail
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission
from cms_services.web.caller import resolve_anew
from cms_services.web.envelope import WireJSON
from cms_services.web.rows import dump_rows
from cms_services.web.schemas.log_batches import JSON_LINES
from cms_services.web.schemas.logs import LogEntryOut
from cms_services.web.stopping import stopping
from cms_services.web.streams import EVENT_STREAM, last_event_id
from cms_services.web.transactions import reading

_PAGE = 1000
_POLL_SECONDS = 0.5
_HEARTBEAT_SECONDS = 15
_RIGHT_SECONDS = 30
_LONGEST_SECONDS = 3600
_RECONNECT_MILLISECONDS = 3000


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


def tail_logs(actor: Actor, service_id: str, wanted: dict[str, Any]) -> Response:
    """Entries of a filter as they are stored, until `until`, for an hour at most.

    Raises NotReady where as many tails as may be hold a thread of this process.
    """
    with reading():
        service = load_service(actor, service_id)
        tail = Tail(filter_of(service.id, **wanted), last_event_id())
    tails = _tails()
    tails.begin()
    events = _events(service_id, tail, wanted["until"])
    response = Response(stream_with_context(events), mimetype=EVENT_STREAM)
    response.call_on_close(tails.end)
    response.headers["Cache-Control"] = "no-store"
    # nginx would hold events back until it has a buffer full of them.
    response.headers["X-Accel-Buffering"] = "no"
    return response


class _Tails:
    """How many tails hold a thread of this process. They leave three quarters to the others."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._present = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            if self._present >= self._most:
                raise NotReady("As many logs as can be followed at once are; try again shortly.")
            self._present += 1

    def end(self) -> None:
        with self._lock:
            self._present -= 1


def _tails() -> _Tails:
    most = max(1, current_settings().web_threads // 4)
    tails: _Tails = current_app.extensions.setdefault("cms_services.tails", _Tails(most))
    return tails


def _events(service_id: str, tail: Tail, until: datetime | None) -> Iterator[bytes]:
    yield f": following\nretry: {_RECONNECT_MILLISECONDS}\n\n".encode()
    began = heard = asked = time.monotonic()
    while not stopping.is_set():
        try:
            with reading():
                rows = tail.next_entries()
        except SQLAlchemyError:
            # The reader asks again, by the last id that it got.
            return
        moment = time.monotonic()
        if rows:
            yield _as_events(dump_rows(LogEntryOut, rows))
            heard = moment
        elif moment - heard >= _HEARTBEAT_SECONDS:
            yield b": still here\n\n"
            heard = moment
        if moment - began >= _LONGEST_SECONDS or _is_past(until):
            return
        if moment - asked >= _RIGHT_SECONDS:
            asked = moment
            if not _may_still_read(service_id):
                return
        if not rows:
            stopping.wait(_POLL_SECONDS)


def _as_events(entries: list[dict[str, Any]]) -> bytes:
    # JSON has no line breaks of its own, which would end an event's data.
    return b"".join(
        f"id: {entry['id']}\ndata: ".encode() + WireJSON.to_bytes(entry) + b"\n\n"
        for entry in entries
    )


def _is_past(until: datetime | None) -> bool:
    return until is not None and until <= now()


def _may_still_read(service_id: str) -> bool:
    try:
        with reading():
            actor = resolve_anew()
            actor.require(Permission.SERVICES_READ)
            load_service(actor, service_id)
    except DomainError:
        return False
    return True
