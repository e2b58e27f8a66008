"""The health of one service: its checks, what changed and why, and its uptime."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask_babel import format_datetime, format_decimal
from flask_babel import gettext as _
from flask_babel import lazy_gettext as lazy
from flask_babel.speaklater import LazyString
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.dashboard.service_frame import render_service_page
from cms_services.dashboard.words import WORD_FILTERS
from cms_services.monitoring.health.reports import health_changes
from cms_services.monitoring.health.standing import StandingCheck, standing_checks
from cms_services.monitoring.health.uptime import Share, uptime_of_each
from cms_services.vocabulary import Permission, Relation, Status
from cms_services.web.health_check import check_now
from cms_services.web.limits import HEALTH_CHECK
from cms_services.web.transactions import reading

health_pages = Blueprint("health_pages", __name__)

_CHANGES = 25
_HOURS = 24
_DAYS = 30
_MONTHS = 6
# The steps of a request, in the order in which they are taken.
_STEPS: tuple[tuple[str, LazyString], ...] = (
    ("dns", lazy("Name")),
    ("connect", lazy("Connect")),
    ("tls", lazy("TLS")),
    ("firstByte", lazy("First byte")),
)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a request: where it lies on a bar of 0 to 100, and its milliseconds."""

    name: str
    label: LazyString
    milliseconds: float
    start: float
    width: float


@health_pages.get("/services/<service_id>/health")
@signed_in_page(Permission.SERVICES_READ, Relation.VIEWER)
def health(actor: Actor, service_id: str) -> str:
    with reading():
        service = load_service(actor, service_id)
        checks = standing_checks(service)
        present = now()
        months = uptime_of_each(service, _bounds_of_months(present))
        return render_service_page(
            "service/health.html",
            actor,
            service,
            checks=[(check, _steps(check)) for check in checks],
            can_check=bool(checks) and service.status in (Status.ACTIVE, Status.MAINTENANCE),
            strips=(
                (_("Last 24 hours"), _hours(service, present)),
                (_("Last 30 days"), _days(service, present)),
            ),
            months=_known(months),
            changes=health_changes(
                actor, service.id, limit=_CHANGES, cursor=request.args.get("cursor")
            ),
            is_older=bool(request.args.get("cursor")),
        )


@health_pages.post("/services/<service_id>/health")
@signed_in_page(Permission.SERVICES_READ, Relation.VIEWER)
def check(actor: Actor, service_id: str) -> AnyResponse:
    found = check_now(actor, service_id)
    status = WORD_FILTERS["health_word"](found.status)
    if found.response_time_ms is None:
        say(_("Checked: %(status)s.", status=status))
    else:
        slowest = format_decimal(round(found.response_time_ms))
        say(_("Checked: %(status)s, slowest answer %(ms)s ms.", status=status, ms=slowest))
    return redirect(url_for("health_pages.health", service_id=found.service_id), 303)


check.limits = HEALTH_CHECK  # type: ignore[attr-defined]


def _hours(service: Service, present: datetime) -> list[tuple[str, Share]]:
    last = present.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    bounds = [last - timedelta(hours=number) for number in reversed(range(_HOURS + 1))]
    shares = uptime_of_each(service, bounds)
    return [(format_datetime(each.start, "d MMM, HH:mm"), each) for each in shares]


def _days(service: Service, present: datetime) -> list[tuple[str, Share]]:
    last = _midnight(present) + timedelta(days=1)
    bounds = [last - timedelta(days=number) for number in reversed(range(_DAYS + 1))]
    shares = uptime_of_each(service, bounds)
    return [(format_datetime(each.start, "d MMM"), each) for each in shares]


def _bounds_of_months(present: datetime) -> list[datetime]:
    """The beginnings of the last months, and of the one that comes."""
    start = _midnight(present).replace(day=1)
    bounds = [(start + timedelta(days=31)).replace(day=1)]
    for _number in range(_MONTHS):
        bounds.append(start)
        start = (start - timedelta(days=1)).replace(day=1)
    return bounds[::-1]


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _known(months: Sequence[Share]) -> list[Share]:
    """The months with something known, the newest first, and the present one in any case."""
    return [each for each in months if each.seconds or each is months[-1]][::-1]


def _steps(check: StandingCheck) -> list[Step]:
    timings: dict[str, Any] = check.details.get("timings", {})
    whole = max(timings.get("total", 0.0), sum(timings.get(name, 0.0) for name, _label in _STEPS))
    return list(_placed(timings, whole)) if whole > 0 else []


def _placed(timings: dict[str, Any], whole: float) -> Iterator[Step]:
    start = 0.0
    for name, label in _STEPS:
        if name in timings:
            width = round(100 * timings[name] / whole, 2)
            yield Step(name, label, timings[name], round(start, 2), width)
            start += width
