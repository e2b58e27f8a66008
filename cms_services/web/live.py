"""Events as they happen, to everybody who follows them.

A follower gets an event where `GET /api/events` would list it, and those of services in projects
that are shared with it.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask, Response

from cms_services.actor import Actor
from cms_services.bell import current_bell
from cms_services.bookmarks import Bookmark, rows_after
from cms_services.catalogue.audience import members_by_service
from cms_services.database import AnyRow, AnySelect
from cms_services.events.feed import SEQUENCE, everybodys_events
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
from cms_services.web.schemas.records import EventOut
from cms_services.web.streams import Streams
from cms_services.web.transactions import reading

# Of what a follower missed; beyond, it is told to read everything anew.
_MOST_MISSED = 500


class EventFollower(Follower):
    """A follower, by what it may see."""

    def __init__(self, actor: Actor, place: Place, until: datetime | None) -> None:
        super().__init__(actor, place, until)
        self._sees_all = actor.is_admin

    def sees(self, happened: "Happened") -> bool:
        return (
            self._sees_all
            or self.user_id == happened.event.owner_id
            or self.user_id in happened.members
        )


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, who besides its owner may see it, and how it is sent."""

    event: AnyRow
    members: frozenset[str]
    piece: bytes


class EventFeed(Feed[EventFollower]):
    """Events, looked for every second and whenever the bell rings."""

    number = SEQUENCE
    look_seconds = 1.0
    most_at_once = 1000

    def __init__(self, app: Flask, streams: Streams) -> None:
        super().__init__(app, streams)
        current_bell().listen(self.ring)

    def rows(self) -> AnySelect:
        return everybodys_events()

    def tell(
        self,
        rows: Sequence[AnyRow],
        marks: Sequence[Bookmark],
        followers: Sequence[EventFollower],
    ) -> list[Told[EventFollower]]:
        return [
            Told(each.piece, [follower for follower in followers if follower.sees(each)])
            for each in _happened(rows, marks)
        ]

    async def missed(self, follower: EventFollower, start: Bookmark) -> AsyncIterator[bytes]:
        found = await self.in_database(_missed, follower.mark, start)
        if found is None:
            yield reset_to(start)
            return
        for each in found:
            if follower.sees(each):
                yield each.piece


def follow_events(actor: Actor, until: datetime | None) -> Response:
    """All events that the caller may see, as they happen, behind the Last-Event-ID if any.

    Raises NotReady where too many follow already, or the caller itself does so too often.
    """
    feed = current_feed(EventFeed)
    with reading():
        follower = EventFollower(actor, place_of_reader(feed), until)

    def may_go_on(present: Actor) -> bool:
        present.require(Permission.AUDIT_READ)
        return present.is_admin == actor.is_admin

    return follow(feed, follower, may_go_on)


def _missed(mark: Bookmark, start: Bookmark) -> list[Happened] | None:
    """What is not behind `start`, and was not read; None where that is too much."""
    query = everybodys_events().where(start.has(SEQUENCE))
    rows = rows_after(mark, query, SEQUENCE, _MOST_MISSED + 1)
    if len(rows) > _MOST_MISSED:
        return None
    return _happened(rows, list(mark.after([row[0] for row in rows], start.missing)))


def _happened(rows: Sequence[AnyRow], marks: Sequence[Bookmark]) -> list[Happened]:
    members = members_by_service({row.subject for row in rows}) if rows else {}
    return [
        Happened(row, frozenset(members.get(row.subject, ())), _as_event(wire, mark))
        for row, wire, mark in zip(rows, dump_rows(EventOut, rows), marks, strict=True)
    ]


def _as_event(wire: dict[str, Any], mark: Bookmark) -> bytes:
    # JSON has no line breaks of its own, which would end an event's data.
    return f"id: {mark}\ndata: ".encode() + WireJSON.to_bytes(wire) + b"\n\n"
