"""Events as they happen, to everybody who follows them: one look for all of a process.

A follower gets an event where `GET /api/events` would list it, and those of services in projects
that are shared with it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import structlog
from flask import Flask, Response, current_app
from flask.globals import request_ctx
from sqlalchemy.exc import SQLAlchemyError

from cms_services.actor import Actor
from cms_services.bell import current_bell
from cms_services.catalogue.audience import members_by_service
from cms_services.clock import now
from cms_services.database import AnyRow
from cms_services.errors import DomainError, NotReady
from cms_services.events.feed import events_after, newest_sequence
from cms_services.vocabulary import Permission
from cms_services.web.caller import resolve_anew
from cms_services.web.envelope import WireJSON
from cms_services.web.rows import dump_rows
from cms_services.web.schemas.records import EventOut
from cms_services.web.stopping import stopping
from cms_services.web.streams import (
    Streams,
    current_streams,
    event_stream,
    last_event_id,
    with_heartbeats,
)
from cms_services.web.transactions import reading

log = structlog.get_logger()

_LOOK_SECONDS = 1.0
# Events are numbered before they are committed, so some turn up behind later ones: so many
# numbers back are looked at again.
_OVERLAP = 200
_MOST_AT_ONCE = 1000
# Of what a follower missed; beyond, it is told to read everything anew.
_MOST_MISSED = 500
_MOST_QUEUED = 1000
# Of one caller, in a process.
_MOST_OF_ONE = 100
# How often it is asked whether a follower may still follow.
_RIGHT_SECONDS = 30.0
_RESET = b"event: reset\ndata: {}\n\n"


@dataclass(eq=False)
class Follower:
    """Somebody who follows, by what it may see, and what is not sent to it yet."""

    user_id: str | None
    sees_all: bool
    queue: "asyncio.Queue[tuple[int, bytes] | None]" = field(
        default_factory=lambda: asyncio.Queue(_MOST_QUEUED)
    )

    def sees(self, told: "Told") -> bool:
        event = told.event
        return self.sees_all or self.user_id == event.owner_id or self.user_id in told.members

    def tell(self, told: "Told") -> None:
        try:
            self.queue.put_nowait((told.event.sequence, told.piece))
        except asyncio.QueueFull:
            # It comes back, and is sent what it missed.
            self.end()

    def end(self) -> None:
        """Let the stream end before what else is queued."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


@dataclass(frozen=True, slots=True)
class Told:
    """An event, who besides its owner may see it, and how it is sent."""

    event: AnyRow
    members: frozenset[str]
    piece: bytes


class Feed:
    """The one look of a process into the events, for all of its followers.

    All but `ring` runs in the loop of the streams.
    """

    def __init__(self, app: Flask, streams: Streams) -> None:
        self._app = app
        self._streams = streams
        self._followers: set[Follower] = set()
        self._task: asyncio.Task[None] | None = None
        self._rung = asyncio.Event()
        self._newest = 0
        # The numbers of those that were told or were there before, as far back as is looked.
        self._known: deque[int] = deque(maxlen=4 * _OVERLAP)

    async def follow(
        self,
        follower: Follower,
        last: int | None,
        until: datetime | None,
        may_go_on: Callable[[], bool],
    ) -> AsyncIterator[bytes]:
        """What a follower is sent, from behind the event `last` on where that is given."""
        self._followers.add(follower)
        watch = asyncio.create_task(self._watch(follower, until, may_go_on))
        try:
            if self._task is None:
                self._task = asyncio.create_task(self._look_for_ever())
            missed = await self._missed(follower, last) if last is not None else {}
            for piece in missed.values():
                yield piece
            if stopping.is_set() or _seconds_to(until) <= 0:
                return
            async for found in with_heartbeats(follower.queue):
                if isinstance(found, bytes):
                    yield found
                elif found[0] not in missed:
                    yield found[1]
        finally:
            watch.cancel()
            self._followers.discard(follower)
            if not self._followers and self._task is not None:
                self._task.cancel()
                self._task = None

    def streams_of(self, user_id: str) -> int:
        return sum(each.user_id == user_id for each in tuple(self._followers))

    def ring(self) -> None:
        """Look at once."""
        self._streams.loop.call_soon_threadsafe(self._rung.set)

    async def _look_for_ever(self) -> None:
        is_begun = False
        while not stopping.is_set():
            try:
                if is_begun:
                    for told in await self._streams.in_database(self._look):
                        for follower in self._followers:
                            if follower.sees(told):
                                follower.tell(told)
                else:
                    await self._streams.in_database(self._begin)
                    is_begun = True
            except SQLAlchemyError:
                log.warning("events could not be read", exc_info=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._rung.wait()
            self._rung.clear()
        for follower in self._followers:
            follower.end()

    def _begin(self) -> None:
        """Remember what is there, which is told to nobody."""
        with self._app.app_context(), reading():
            self._newest = newest_sequence()
            rows = events_after(self._newest - _OVERLAP, _MOST_AT_ONCE)
            self._known.extend(row.sequence for row in rows)

    def _look(self) -> list[Told]:
        with self._app.app_context(), reading():
            rows = events_after(self._newest - _OVERLAP, _MOST_AT_ONCE)
            known = set(self._known)
            fresh = [row for row in rows if row.sequence not in known]
            told = _told(fresh)
        self._known.extend(row.sequence for row in fresh)
        self._newest = max([self._newest, *(row.sequence for row in fresh)])
        return told

    async def _missed(self, follower: Follower, last: int) -> dict[int, bytes]:
        """What happened behind an event, by its number; where that is too much, to begin anew."""

        def read() -> list[Told] | None:
            with self._app.app_context(), reading():
                rows = events_after(last, _MOST_MISSED + 1)
                return _told(rows) if len(rows) <= _MOST_MISSED else None

        found = await self._streams.in_database(read)
        if found is None:
            return {0: _RESET}
        return {told.event.sequence: told.piece for told in found if follower.sees(told)}

    async def _watch(
        self, follower: Follower, until: datetime | None, may_go_on: Callable[[], bool]
    ) -> None:
        """End what may no longer be followed, or is not to be."""
        while (left := _seconds_to(until)) > 0:
            await asyncio.sleep(min(left, _RIGHT_SECONDS))
            with suppress(SQLAlchemyError):
                if not await self._streams.in_database(may_go_on):
                    break
        follower.end()


def follow_events(actor: Actor, until: datetime | None) -> Response:
    """All events that the caller may see, as they happen, behind the Last-Event-ID if any.

    Raises NotReady where too many follow already, or the caller itself does so too often.
    """
    streams = current_streams()
    follower = Follower(actor.own_id, actor.is_admin)
    feed = _current_feed(streams)
    if feed.streams_of(actor.own_id) >= _MOST_OF_ONE:
        raise NotReady("You follow with as many streams as one caller may have; close some.")
    pieces = feed.follow(follower, last_event_id(), until, _right_of_caller(actor))
    return event_stream(streams, pieces)


def _current_feed(streams: Streams) -> Feed:
    feed = current_app.extensions.get("cms_services.feed")
    if feed is None:
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        feed = current_app.extensions["cms_services.feed"] = Feed(app, streams)
        current_bell().listen(feed.ring)
    return cast(Feed, feed)


def _right_of_caller(actor: Actor) -> Callable[[], bool]:
    """Asks whether the caller of this request may follow on, whatever request is answered then."""
    context = request_ctx.copy()

    def may_go_on() -> bool:
        try:
            with context.copy(), reading():
                present = resolve_anew()
                present.require(Permission.AUDIT_READ)
        except DomainError:
            return False
        return present.is_admin == actor.is_admin

    return may_go_on


def _seconds_to(until: datetime | None) -> float:
    return float("inf") if until is None else (until - now()).total_seconds()


def _told(rows: Sequence[AnyRow]) -> list[Told]:
    members = members_by_service({row.subject for row in rows}) if rows else {}
    return [
        Told(row, frozenset(members.get(row.subject, ())), _as_event(wire))
        for row, wire in zip(rows, dump_rows(EventOut, rows), strict=True)
    ]


def _as_event(wire: dict[str, Any]) -> bytes:
    # JSON has no line breaks of its own, which would end an event's data.
    return f"id: {wire['sequence']}\ndata: ".encode() + WireJSON.to_bytes(wire) + b"\n\n"
