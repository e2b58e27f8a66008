"""What a service did in a timeframe, in totals of its metrics and its log."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogVolume
from cms_services.monitoring.metrics.reading import ADDED_UP, Total, read_totals, start_of

_HOUR = 3600


@dataclass(frozen=True)
class Usage:
    service_id: str
    timeframe: str
    start: datetime
    end: datetime
    requests: float
    errors: float
    error_rate: float | None
    average_response_time: float | None
    log_entries: dict[str, int]


def read_usage(actor: Actor, identifier: str, timeframe_text: str, timeframe: timedelta) -> Usage:
    """What a service did in the timeframe that ends now, in totals.

    Log entries are counted by whole hours, the one that the timeframe begins in included.
    """
    service = load_service(actor, identifier)
    end = now()
    start = start_of(end, timeframe)
    totals = read_totals(service.id, start, end, {"requests", "errors", "responseTime"})
    levels = db.session.execute(
        select(LogVolume.level, func.sum(LogVolume.entries))
        .where(LogVolume.service_id == service.id)
        .where(LogVolume.start >= int(start.timestamp()) // _HOUR * _HOUR)
        .where(LogVolume.start <= int(end.timestamp()))
        .group_by(LogVolume.level)
    )
    requests, errors = _added_up(totals.get("requests")), _added_up(totals.get("errors"))
    times = totals.get("responseTime")
    return Usage(
        service_id=service.service_id,
        timeframe=timeframe_text,
        start=start,
        end=end,
        requests=requests,
        errors=errors,
        error_rate=errors / requests if requests else None,
        average_response_time=times.total / times.count if times is not None else None,
        log_entries={level: int(entries) for level, entries in levels},
    )


def _added_up(total: Total | None) -> float:
    return total.total if total is not None and total.kind in ADDED_UP else 0.0
