"""The metrics of one service: charts, and the same in numbers."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, request, url_for
from flask_babel import format_decimal, format_percent
from flask_babel import lazy_gettext as lazy
from flask_babel.speaklater import LazyString

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.service_frame import render_service_page
from cms_services.durations import parse_timeframe
from cms_services.errors import UpstreamError, UpstreamTimeout
from cms_services.monitoring.metrics.reading import ADDED_UP, ERROR_RATE, Metrics
from cms_services.vocabulary import MetricKind, Permission, Relation
from cms_services.web.bodies import load
from cms_services.web.metric_sources import metrics_of
from cms_services.web.schemas.metrics import TimeframeQuery
from cms_services.web.transactions import reading

metric_pages = Blueprint("metric_pages", __name__)

_TIMEFRAMES = ("1h", "8h", "24h", "7d", "20d", "30d", "90d")
_USUAL = "24h"
_TITLES: dict[str, LazyString] = {
    "requests": lazy("Requests"),
    "errors": lazy("Errors"),
    ERROR_RATE: lazy("Error rate"),
    "responseTime": lazy("Response time"),
    "cpu": lazy("CPU"),
    "memory": lazy("Memory"),
}
# The order in which people look at them; all others follow by name.
_FIRST = tuple(_TITLES)
_UNITS = {"responseTime": "ms", "cpu": "%", "memory": "MB"}
# What Prometheus and OpenTelemetry call metrics after.
_UNITS_OF_ENDINGS = {
    "_seconds": "s",
    "_milliseconds": "ms",
    "_bytes": "B",
    "_percent": "%",
    "_celsius": "°C",
}
_SHARE = "share"
# A service may have a thousand metrics; the others are found by their names.
_MOST_CHARTS = 24


@dataclass(frozen=True, slots=True)
class Shown:
    """A metric as the page has it; `unit` is `share` where 1 means 100 %."""

    name: str
    title: str
    unit: str
    numbers: dict[str, str]
    is_averaged: bool

    def is_called(self, wanted: str) -> bool:
        return wanted.lower() in f"{self.title} {self.name}".lower()


@metric_pages.get("/services/<service_id>/metrics")
@signed_in_page(Permission.SERVICES_READ, Relation.VIEWER)
def metrics(actor: Actor, service_id: str) -> str:
    given = {"timeframe": request.args.get("timeframe", _USUAL)}
    timeframe: str = load(TimeframeQuery, given)["timeframe"]
    wanted = request.args.get("q", "").strip()[:255]
    known: list[Shown] = []
    histograms: list[str] = []
    problem = None
    try:
        with reading():
            found = metrics_of(actor, service_id, timeframe, parse_timeframe(timeframe))
        known = [each for each in _shown(found) if each.is_called(wanted)]
        histograms = [name for name, kind in found.kinds.items() if kind is MetricKind.HISTOGRAM]
    except (UpstreamError, UpstreamTimeout) as error:
        problem = error.message
    shown = known[:_MOST_CHARTS]
    # Without a word about names the charts hear of new ones.
    names = {each.name for each in shown} if wanted or len(known) > len(shown) else None
    with reading():
        service = load_service(actor, service_id)
        number = service.service_id
        return render_service_page(
            "service/metrics.html",
            actor,
            service,
            timeframe=timeframe,
            timeframes=_TIMEFRAMES,
            wanted=wanted,
            shown=shown,
            known=known,
            problem=problem,
            series_url=_address("metrics.show_metrics", number, timeframe, names),
            percentiles_url=_address(
                "metrics.show_percentiles", number, timeframe, {each.name for each in shown}
            )
            if any(each.name in histograms for each in shown)
            else None,
        )


def _address(endpoint: str, number: str, timeframe: str, names: Collection[str] | None) -> str:
    more: dict[str, Any] = {} if names is None else {"names": ",".join(sorted(names))}
    return url_for(endpoint, service_id=number, timeframe=timeframe, **more)


def _shown(found: Metrics) -> list[Shown]:
    names = sorted(found.summary, key=lambda name: (_place(name), name))
    return [_one(name, found) for name in names]


def _place(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _one(name: str, found: Metrics) -> Shown:
    unit = _unit(name)
    numbers = {key: _number(value, unit) for key, value in found.summary[name].items()}
    is_averaged = found.kinds.get(name) not in ADDED_UP
    return Shown(name, str(_TITLES.get(name, name)), unit, numbers, is_averaged)


def _unit(name: str) -> str:
    if name == ERROR_RATE or name.endswith("_ratio"):
        return _SHARE
    stem = name.removesuffix("_total")
    endings = (unit for ending, unit in _UNITS_OF_ENDINGS.items() if stem.endswith(ending))
    return _UNITS.get(name) or next(endings, "")


def _number(value: float, unit: str) -> str:
    if unit == _SHARE:
        return str(format_percent(value, "0.##%"))
    if unit == "%":
        return str(format_percent(value / 100, "0.##%"))
    # Four digits say enough, and whole numbers stay whole.
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"{format_decimal(round(value, digits))} {unit}".rstrip()
