"""The log of one service: searched page by page, and followed while it is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Blueprint, request, url_for
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.clock import now, to_wire
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.service_frame import render_service_page
from cms_services.database import AnyRow
from cms_services.durations import parse_duration
from cms_services.errors import ValidationFailed
from cms_services.keyset import Page
from cms_services.monitoring.logs.search import list_entries
from cms_services.vocabulary import LogLevel, Permission, Relation
from cms_services.web.bodies import load
from cms_services.web.schemas.logs import LogsQuery
from cms_services.web.transactions import reading

log_pages = Blueprint("log_pages", __name__)

_PAGE = 100
_NOTHING: Page[AnyRow] = Page([], _PAGE, None)
# What a form sends of fields that were left empty asks for nothing.
_FIELDS = ("level", "q", "traceId", "since", "until", "cursor")
_LEVELS: tuple[tuple[str, LazyString], ...] = (
    ("", _("All levels")),
    (LogLevel.INFO, _("Info and graver")),
    (LogLevel.WARN, _("Warnings and errors")),
    (LogLevel.ERROR, _("Errors alone")),
)
_WITHIN: tuple[tuple[str, LazyString], ...] = (
    ("", _("Any time")),
    ("15m", _("Last 15 minutes")),
    ("1h", _("Last hour")),
    ("24h", _("Last 24 hours")),
    ("7d", _("Last 7 days")),
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the page was asked for: as it was typed, and as the API takes it."""

    typed: dict[str, str]
    attributes: list[str]
    query: dict[str, Any]

    @property
    def is_narrowed(self) -> bool:
        return any(self.typed[name] for name in self.typed if name != "cursor") or bool(
            self.attributes
        )


@dataclass(frozen=True, slots=True)
class Told:
    """An attribute of an entry, and the page of those that have the same; none for a list."""

    name: str
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as the page shows it."""

    id: int
    at: datetime
    level: str
    message: str
    source: str
    told: list[Told]

    @property
    def wire_time(self) -> str:
        """As the API tells it, so that a script can compare it with what comes later."""
        return to_wire(self.at)

    @property
    def shown_time(self) -> str:
        return self.at.isoformat(sep=" ", timespec="milliseconds")[:23]


@log_pages.get("/services/<service_id>/logs")
@signed_in_page(Permission.SERVICES_READ, Relation.VIEWER)
def logs(actor: Actor, service_id: str) -> str:
    asked = _asked()
    problems: dict[str, Any] = {}
    page = _NOTHING
    with reading():
        service = load_service(actor, service_id)
        try:
            page = list_entries(actor, service.id, **_wanted(asked))
        except ValidationFailed as error:
            problems = dict(error.details or {})
        number = service.service_id
        return render_service_page(
            "service/logs.html",
            actor,
            service,
            lines=[_line(row, number, asked) for row in page.items],
            asked=asked,
            problems=problems,
            levels=[(str(value), words) for value, words in _LEVELS],
            spans=_WITHIN,
            # What is past stays as it is: only the newest page without an end is added to.
            can_follow=not problems and not asked.typed["cursor"] and not asked.typed["until"],
            tail_url=_address("logs.follow_logs", number, asked, "since"),
            entries_url=_address("logs.show_logs", number, asked),
            export_url=_address("logs.download_logs", number, asked),
            own_url=_narrowed(number, asked),
            older_url=page.next_cursor and _narrowed(number, asked, cursor=page.next_cursor),
        )


def _line(row: AnyRow, number: str, asked: _Asked) -> Line:
    # Columns as lists read them: without a zone, and documents as their text.
    at = row.at.replace(tzinfo=UTC)
    document = orjson.loads(row.attributes) if isinstance(row.attributes, str) else row.attributes
    told = [
        Told(name, text, _narrowed(number, asked, attribute=f"{name}:{text}") if is_sought else "")
        for name, text, is_sought in _flat(document or {})
    ]
    if row.trace_id:
        url = _narrowed(number, asked, traceId=row.trace_id)
        told.insert(0, Told("traceId", row.trace_id, url))
    return Line(row.id, at, row.level, row.message, row.source, told)


def _flat(attributes: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, bool]]:
    """Each attribute, those within objects by dotted names, and whether it can be searched for."""
    for name, value in attributes.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            yield f"{prefix}{name}", text, not isinstance(value, list)


def _asked() -> _Asked:
    typed = {name: _clean(request.args.get(name, "")) for name in (*_FIELDS, "within")}
    given = map(_clean, request.args.getlist("attribute"))
    attributes = [each for each in given if each]
    query: dict[str, Any] = {name: typed[name] for name in _FIELDS if typed[name]}
    for name in ("since", "until"):
        if name in query:
            query[name] = _with_zone(query[name])
    if attributes:
        query["attribute"] = attributes
    if typed["within"] and "since" not in query:
        query["since"] = _since(typed["within"])
    return _Asked(typed, attributes, query)


def _clean(typed: str) -> str:
    """Without what no entry can have, and some databases refuse to look for."""
    return typed.replace("\x00", "").strip()


def _wanted(asked: _Asked) -> dict[str, Any]:
    """The query as list_entries() takes it. Raises ValidationFailed."""
    loaded = load(LogsQuery, asked.query | {"limit": str(_PAGE)})
    return loaded | {"level": LogLevel(loaded["level"]) if loaded["level"] else None}


def _with_zone(typed: str) -> str:
    """A moment as a browser's field has it, without a zone, is of UTC."""
    try:
        moment = datetime.fromisoformat(typed)
        return to_wire(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        # As it is, so that it is told what is wrong with it.
        return typed


def _since(within: str) -> str:
    """When a span that ends now began, at a whole minute, so that a page stays the same for one."""
    try:
        span = parse_duration(within, ("m", "h", "d"))
    except ValueError:
        return within
    return to_wire(now().replace(second=0, microsecond=0) - min(span, timedelta(days=3650)))


def _address(endpoint: str, number: str, asked: _Asked, *without: str) -> str:
    """An address of the API with the filters of the page."""
    left_out = ("cursor", *without)
    query = {name: value for name, value in asked.query.items() if name not in left_out}
    return url_for(endpoint, service_id=number, **query)


def _narrowed(number: str, asked: _Asked, **more: str) -> str:
    """This page with a filter more."""
    pairs = [(name, value) for name, value in asked.typed.items() if value and name != "cursor"]
    attributes = [*asked.attributes]
    if "attribute" in more:
        added = more.pop("attribute")
        attributes += [added] if added not in attributes else []
    pairs = [(name, value) for name, value in pairs if name not in more]
    pairs += [(name, value) for name, value in more.items() if value]
    pairs += [("attribute", value) for value in attributes]
    path = url_for("log_pages.logs", service_id=number)
    return f"{path}?{urlencode(pairs)}" if pairs else path
