"""What our metrics are in PromQL, of the series that carry a service's `service_id`.

A rate is taken over at least four minutes, so that it has two samples of a target that is scraped
each minute or two. docs/monitoring.md shows the expressions of the built-in names.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

STATUS_LABELS = ("code", "status", "status_code", "http_response_status_code", "http_status_code")
_LEAST_RANGE_SECONDS = 240
# Counters of requests, the best first; of the last ones, histograms.
_REQUESTS = (
    "http_requests_total",
    "http_server_request_duration_seconds_count",
    "http_request_duration_seconds_count",
)
_DURATIONS = ("http_server_request_duration_seconds", "http_request_duration_seconds")
BUCKET, SUM, COUNT, TOTAL = "_bucket", "_sum", "_count", "_total"
_LEFT_OUT = ("_created", "_info")


@dataclass(frozen=True, slots=True)
class Expressions:
    """How a metric is asked for: its points by steps and, of histograms, its percentiles."""

    points: str
    # An expression of buckets by `le` for all of the timeframe, and what makes milliseconds of it.
    buckets: str | None = None
    # The same of each step.
    buckets_of_step: str = ""
    factor: float = 1.0


@dataclass(slots=True)
class Plan:
    """Expressions by our names, and the names of gauges, which one expression asks for at once."""

    by_name: dict[str, Expressions] = field(default_factory=dict)
    gauges: list[str] = field(default_factory=list)


class Selector:
    """The series of a service: `name{service_id="..."}`."""

    def __init__(self, service_id: str) -> None:
        self._own = f'service_id="{escaped(service_id)}"'

    def __call__(self, name: str, *more: str) -> str:
        return f"{name}{{{','.join((self._own, *more))}}}"


def escaped(text: str) -> str:
    """A label's value as it stands in quotes in PromQL."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def plan_of(service: Selector, names: Collection[str], step: int, timeframe: int) -> Plan:
    """How to ask for all that the series of these names tell."""
    known = set(names)
    window = max(step, _LEAST_RANGE_SECONDS)
    plan = Plan(by_name=_built_in(service, known, step, window, timeframe))
    for name in sorted(known):
        if name.endswith(_LEFT_OUT):
            continue
        base, kind = _base_and_kind(name, known)
        if kind == BUCKET:
            plan.by_name[base] = _histogram(service, base, window, timeframe)
        elif kind == TOTAL:
            plan.by_name[name] = Expressions(f"sum(rate({service(name)}[{window}s]))*{step}")
        elif kind == "gauge":
            plan.gauges.append(name)
    return plan


def gauges_query(service: Selector, names: Collection[str]) -> str:
    """The averages of gauges over their series, by name and, of summaries, by quantile."""
    listed = "|".join(escaped(name) for name in names)
    return f"avg by (__name__, quantile) ({service('', f'__name__=~{chr(34)}{listed}{chr(34)}')})"


def quantile_query(buckets: str, quantile: float) -> str:
    return f"histogram_quantile({quantile:g}, {buckets})"


def _base_and_kind(name: str, known: Collection[str]) -> tuple[str, str]:
    for suffix in (BUCKET, SUM, COUNT):
        if name.endswith(suffix):
            base = name.removesuffix(suffix)
            if suffix == BUCKET:
                return base, BUCKET
            return base, "part" if base + BUCKET in known else TOTAL
    return name, TOTAL if name.endswith(TOTAL) else "gauge"


def _built_in(
    service: Selector, known: Collection[str], step: int, window: int, timeframe: int
) -> dict[str, Expressions]:
    found: dict[str, Expressions] = {}
    requests = next((name for name in _REQUESTS if name in known), None)
    if requests is not None:
        total = f"sum(rate({service(requests)}[{window}s]))"
        failed = " or ".join(
            f"rate({service(requests, f'{label}=~{chr(34)}5..{chr(34)}')}[{window}s])"
            for label in STATUS_LABELS
        )
        found["requests"] = Expressions(f"{total}*{step}")
        # Without any error there is no series of errors, and their number is 0.
        found["errors"] = Expressions(f"(sum({failed}) or {total}*0)*{step}")
    duration = next((name for name in _DURATIONS if name + BUCKET in known), None)
    if duration is not None:
        plain = _histogram(service, duration, window, timeframe)
        found["responseTime"] = replace(plain, points=f"1000*{plain.points}", factor=1000.0)
    if "process_cpu_seconds_total" in known:
        rate = f"rate({service('process_cpu_seconds_total')}[{window}s])"
        found["cpu"] = Expressions(f"100*avg({rate})")
    if "process_resident_memory_bytes" in known:
        resident = service("process_resident_memory_bytes")
        found["memory"] = Expressions(f"avg({resident})/1000000")
    return found


def _histogram(service: Selector, base: str, window: int, timeframe: int) -> Expressions:
    """Its points are averages of all values; its percentiles come from its buckets."""
    total = f"sum(rate({service(base + SUM)}[{window}s]))"
    count = f"sum(rate({service(base + COUNT)}[{window}s]))"
    over_all = max(timeframe, _LEAST_RANGE_SECONDS)
    buckets = f"sum by (le) (increase({service(base + BUCKET)}[{over_all}s]))"
    of_step = f"sum by (le) (rate({service(base + BUCKET)}[{window}s]))"
    return Expressions(f"{total}/{count}", buckets, of_step)
