"""What has happened since, for those who follow events as they come."""

from collections.abc import Sequence

from sqlalchemy import Table, func, select

from cms_services.database import AnyRow
from cms_services.events.models import Event
from cms_services.extensions import reader

_EVENTS: Table = Event.__table__  # type: ignore[assignment]
_COLUMNS = tuple(
    _EVENTS.c[name] for name in ("sequence", "id", "at", "type", "subject", "data", "owner_id")
)


def newest_sequence() -> int:
    """The number of the newest event; 0 before the first."""
    return reader().execute(select(func.max(_EVENTS.c.sequence))).scalar() or 0


def events_after(sequence: int, limit: int) -> Sequence[AnyRow]:
    """The events behind one, oldest first, of everybody."""
    query = select(*_COLUMNS).where(_EVENTS.c.sequence > sequence)
    return reader().execute(query.order_by(_EVENTS.c.sequence).limit(limit)).all()


def latest_events(subject: str, limit: int) -> Sequence[AnyRow]:
    """The newest events about a thing, newest first, for a caller that may read it."""
    query = select(*_COLUMNS).where(_EVENTS.c.subject == subject)
    return reader().execute(query.order_by(_EVENTS.c.sequence.desc()).limit(limit)).all()
