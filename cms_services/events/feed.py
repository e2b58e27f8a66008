"""What has happened: for those who follow events as they come, and the newest about a thing."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, select

from cms_services.database import AnyRow, AnySelect
from cms_services.events.models import Event
from cms_services.extensions import reader

_EVENTS: Table = Event.__table__  # type: ignore[assignment]
_COLUMNS = tuple(
    _EVENTS.c[name] for name in ("sequence", "id", "at", "type", "subject", "data", "owner_id")
)
SEQUENCE: ColumnElement[int] = _EVENTS.c.sequence


def everybodys_events() -> AnySelect:
    """The query of the events, whoever may see them."""
    return select(*_COLUMNS)


def latest_events(subject: str, limit: int) -> Sequence[AnyRow]:
    """The newest events about a thing, newest first, for a caller that may read it."""
    query = select(*_COLUMNS).where(_EVENTS.c.subject == subject)
    return reader().execute(query.order_by(_EVENTS.c.sequence.desc()).limit(limit)).all()
