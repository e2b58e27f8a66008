"""What is new, told to everybody who follows it: one look of a process for all of a kind."""

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

import structlog
from flask import Flask, Response, current_app, request
from flask.globals import request_ctx
from sqlalchemy import ColumnElement
from sqlalchemy.exc import SQLAlchemyError

from cms_services.actor import Actor
from cms_services.bookmarks import Bookmark, bookmark_at_end, newest_number, rows_after
from cms_services.clock import now
from cms_services.database import AnyRow, AnySelect
from cms_services.errors import DomainError, NotReady
from cms_services.web.caller import resolve_anew
from cms_services.web.stopping import stopping
from cms_services.web.streams import Streams, current_streams, event_stream
from cms_services.web.transactions import reading
from cms_services.wording import worded

log = structlog.get_logger()

# Bytes that are not sent to a follower yet. Beyond, it is let go; it comes back for them.
_MOST_QUEUED = 1024 * 1024
# Of one caller and kind, in a process.
_MOST_OF_ONE = 100
# How often it is asked whether a follower may still follow.
_RIGHT_SECONDS = 30.0
# Proxies close connections that say nothing for a minute.
_HEARTBEAT_SECONDS = 15.0
_HEARTBEAT = b": still here\n\n"
# What is missing for so long was rolled back.
_LATE_SECONDS = 300.0

T = TypeVar("T")


def reset_to(mark: Bookmark) -> bytes:
    """Tells a follower to read everything up to a mark anew: too much of it was missed."""
    return f"id: {mark}\nevent: reset\ndata: {{}}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader was when it came."""

    mark: Bookmark
    # Beyond the end: the database lost its last moments, or is an older copy of itself. What it
    # read is given up, and the numbers are given again.
    is_lost: bool = False


class Follower:
    """Somebody who follows, and what is not sent to it yet."""

    def __init__(self, actor: Actor, place: Place, until: datetime | None) -> None:
        self.user_id = actor.own_id
        # What it had read when it came.
        self.mark = place.mark
        self.is_lost = place.is_lost
        self.until = until
        # From where on it is told what is new, once a look has let it in.
        self.start: Bookmark | None = None
        self.is_let_in = asyncio.Event()
        self.may_go_on = True
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._queued = 0
        self._is_ended = False

    @property
    def seconds_left(self) -> float:
        """Until the stream is to end."""
        return float("inf") if self.until is None else (self.until - now()).total_seconds()

    def let_in(self, start: Bookmark | None) -> None:
        self.start = start
        self.is_let_in.set()

    def tell(self, piece: bytes) -> None:
        if self._queued and self._queued + len(piece) > _MOST_QUEUED:
            self.end()
        if not self._is_ended:
            self._queued += len(piece)
            self._queue.put_nowait(piece)

    def end(self) -> None:
        """Let the stream end before what else is queued."""
        self._is_ended = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """What it is told, and a sign of life where that is nothing for long."""
        while True:
            try:
                piece = await asyncio.wait_for(self._queue.get(), _HEARTBEAT_SECONDS)
            except TimeoutError:
                yield _HEARTBEAT
                continue
            if piece is None:
                return
            self._queued -= len(piece)
            yield piece


F = TypeVar("F", bound=Follower)


@dataclass(frozen=True, slots=True)
class Told(Generic[F]):
    """Whole events, and who is sent them."""

    piece: bytes
    followers: Sequence[F]


@dataclass(frozen=True, slots=True)
class Look(Generic[F]):
    """What a look found, and how far it came."""

    mark: Bookmark
    told: Sequence[Told[F]] = ()
    is_all: bool = True
    # The newest rows were deleted, so that their numbers may be given again.
    begins_anew: bool = False


class Feed(ABC, Generic[F]):
    """The one look of a process into rows that are numbered, for all of its followers.

    It runs in the loop of the streams, but for `ring` and what runs in the database's threads.
    """

    number: ColumnElement[int]
    look_seconds: float
    most_at_once: int

    def __init__(self, app: Flask, streams: Streams) -> None:
        self._app = app
        self._streams = streams
        self._followers: set[F] = set()
        self._task: asyncio.Task[None] | None = None
        self._rung = asyncio.Event()
        self._mark: Bookmark | None = None
        # When a look was, and how far it came.
        self._looks: deque[tuple[float, int]] = deque()

    @abstractmethod
    def rows(self) -> AnySelect:
        """The query of the rows, whose first column is their number."""

    @abstractmethod
    def tell(
        self, rows: Sequence[AnyRow], marks: Sequence[Bookmark], followers: Sequence[F]
    ) -> list[Told[F]]:
        """Who is told what of new rows; each has the bookmark of those who have read it.

        Runs in a thread of the database's, within a transaction.
        """

    @abstractmethod
    def missed(self, follower: F, start: Bookmark) -> AsyncIterator[bytes]:
        """What a follower has not read of what was there when it was let in."""

    async def follow(self, follower: F, may_go_on: Callable[[], bool]) -> AsyncIterator[bytes]:
        """What a follower is sent."""
        self._followers.add(follower)
        watch = asyncio.create_task(self._watch(follower, may_go_on))
        try:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._look_for_ever())
            self._rung.set()
            await follower.is_let_in.wait()
            if follower.start is None:
                return
            if follower.is_lost:
                yield reset_to(follower.start)
            else:
                async for piece in self.missed(follower, follower.start):
                    yield piece
                    if not follower.may_go_on:
                        return
            if stopping.is_set() or follower.seconds_left <= 0:
                return
            async for piece in follower.pieces():
                yield piece
        except SQLAlchemyError:
            # It comes back for what it missed.
            log.warning("what was missed could not be read", exc_info=True)
        finally:
            watch.cancel()
            self._followers.discard(follower)
            if not self._followers and self._task is not None:
                self._task.cancel()
                self._task = None

    def require_room(self, user_id: str) -> None:
        """Raise NotReady where somebody follows as often as one may."""
        if sum(each.user_id == user_id for each in tuple(self._followers)) >= _MOST_OF_ONE:
            raise NotReady(
                worded("You follow with as many streams as one caller may have; close some.")
            )

    def ring(self) -> None:
        """Look at once."""
        self._streams.loop.call_soon_threadsafe(self._rung.set)

    async def in_database(self, work: Callable[..., T], *arguments: object) -> T:
        """Read something in a thread of the database's, within a transaction."""

        def read() -> T:
            with self._app.app_context(), reading():
                return work(*arguments)

        return await self._streams.in_database(read)

    async def _look_for_ever(self) -> None:
        self._mark = None
        self._looks.clear()
        try:
            while not stopping.is_set():
                if await self._look_once():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self.look_seconds):
                            await self._rung.wait()
                self._rung.clear()
        finally:
            # Unless all had gone, and others began anew.
            if self._task is asyncio.current_task():
                _end_all(self._followers)

    async def _look_once(self) -> bool:
        """Tell what is new, and let in who waits for that. Whether it was all for now."""
        present: list[F] = []
        waiting: list[F] = []
        for follower in self._followers:
            (present if follower.is_let_in.is_set() else waiting).append(follower)
        try:
            look = await self.in_database(self._look, self._mark, present)
        except SQLAlchemyError:
            log.warning("what is new could not be read", exc_info=True)
            return True
        for told in look.told:
            for follower in told.followers:
                follower.tell(told.piece)
        if look.begins_anew:
            _end_all(present)
        self._mark = self._settled(look.mark)
        for follower in waiting:
            follower.let_in(self._mark)
        return look.is_all

    def _look(self, mark: Bookmark | None, followers: Sequence[F]) -> Look[F]:
        if mark is None:
            return Look(bookmark_at_end(self.number))
        rows = rows_after(mark, self.rows(), self.number, self.most_at_once)
        if not rows:
            if newest_number(self.number) < mark.newest:
                return Look(bookmark_at_end(self.number), begins_anew=True)
            return Look(mark)
        numbers = [row[0] for row in rows]
        marks = list(mark.after(numbers, mark.gaps_before(numbers)))
        told = self.tell(rows, marks, followers)
        return Look(marks[-1], told, is_all=len(rows) < self.most_at_once)

    def _settled(self, mark: Bookmark) -> Bookmark:
        """The bookmark without what is missing for too long."""
        moment = time.monotonic()
        self._looks.append((moment, mark.newest))
        while self._looks[0][0] < moment - _LATE_SECONDS:
            mark = mark.settled(self._looks.popleft()[1])
        return mark

    async def _watch(self, follower: F, may_go_on: Callable[[], bool]) -> None:
        """End what may no longer be followed, or is not to be."""
        while (left := follower.seconds_left) > 0:
            await asyncio.sleep(min(left, _RIGHT_SECONDS))
            with suppress(SQLAlchemyError):
                if not await self._streams.in_database(may_go_on):
                    follower.may_go_on = False
                    break
        follower.end()


def _end_all(followers: Iterable[Follower]) -> None:
    for follower in followers:
        follower.end()
        if not follower.is_let_in.is_set():
            follower.let_in(None)


A = TypeVar("A", bound=Feed[Any])
_making = threading.Lock()


def current_feed(kind: type[A]) -> A:
    """The application's feed of a kind in this process."""
    with _making:
        feeds = current_app.extensions.setdefault("cms_services.feeds", {})
        if kind not in feeds:
            app = current_app._get_current_object()  # type: ignore[attr-defined]
            feeds[kind] = kind(app, current_streams())
    return cast(A, feeds[kind])


def place_of_reader(feed: Feed[F]) -> Place:
    """Where a reader who comes back was; the end for another one."""
    told = Bookmark.parse(request.headers.get("Last-Event-ID", ""))
    if told is None:
        return Place(bookmark_at_end(feed.number))
    return Place(told, is_lost=told.newest > newest_number(feed.number))


def follow(feed: Feed[F], follower: F, holds: Callable[[Actor], bool]) -> Response:
    """The answer that tells the caller what is new while its right to that holds.

    Raises NotReady where too many follow already, or the caller itself does so too often.
    """
    streams = current_streams()
    feed.require_room(follower.user_id)
    pieces = feed.follow(follower, _right_of_caller(holds))
    return event_stream(streams, pieces, str(follower.mark))


def _right_of_caller(holds: Callable[[Actor], bool]) -> Callable[[], bool]:
    """Asks whether the caller of this request may follow on, whatever request is answered then."""
    context = request_ctx.copy()

    def may_go_on() -> bool:
        try:
            with context.copy(), reading():
                return holds(resolve_anew())
        except DomainError:
            return False

    return may_go_on
