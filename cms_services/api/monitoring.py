"""/api/services/{serviceId}/health, /metrics, /logs and /usage."""

from typing import Any

from flask import Blueprint

from cms_services.actor import Actor
from cms_services.durations import parse_timeframe
from cms_services.monitoring import health, logs, metrics
from cms_services.vocabulary import LogLevel, Permission, Relation
from cms_services.web.health_check import check_now
from cms_services.web.ingest import sort_out
from cms_services.web.limits import HEALTH_CHECK, INGEST
from cms_services.web.operations import operation
from cms_services.web.schemas import monitoring as schemas
from cms_services.web.schemas.paging import PageQuery

monitoring = Blueprint("monitoring", __name__, url_prefix="/api/services/<service_id>")


@monitoring.get("/health")
@operation(
    "The newest health report",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    answer=schemas.HealthOut,
)
def show_health(actor: Actor, service_id: str) -> health.Health:
    return health.latest_health(actor, service_id)


@monitoring.post("/health")
@operation(
    "Run the checks now",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    transaction="own",
    answer=schemas.HealthOut,
    limits=HEALTH_CHECK,
)
def run_health(actor: Actor, service_id: str) -> health.Health:
    return check_now(actor, service_id)


@monitoring.get("/health/history")
@operation(
    "Earlier health reports, newest first",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=PageQuery,
    answer=schemas.HealthHistoryOut,
    many=True,
)
def health_history(actor: Actor, service_id: str, query: dict[str, Any]) -> Any:
    return health.health_history(actor, service_id, **query)


@monitoring.get("/metrics")
@operation(
    "Series and summaries of a timeframe that ends now",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=schemas.TimeframeQuery,
    answer=schemas.MetricsOut,
)
def show_metrics(actor: Actor, service_id: str, query: dict[str, Any]) -> metrics.Metrics:
    text = query["timeframe"]
    return metrics.read_metrics(actor, service_id, text, parse_timeframe(text))


@monitoring.post("/metrics")
@operation(
    "Add samples; the good ones are stored, the others named",
    Permission.METRICS_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    body=schemas.SamplesIn,
    answer=schemas.IngestOut,
    status=202,
    limits=INGEST,
)
def add_metrics(actor: Actor, service_id: str, body: dict[str, Any]) -> dict[str, Any]:
    good, rejected = sort_out(schemas.SampleIn, body["samples"])
    samples = [metrics.NewSample(**sample) for sample in good]
    accepted = metrics.store_samples(actor, service_id, samples)
    return {"accepted": accepted, "rejected": rejected}


@monitoring.get("/logs")
@operation(
    "Log entries, newest first; level means this one or a graver one",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=schemas.LogsQuery,
    answer=schemas.LogEntryOut,
    many=True,
)
def show_logs(actor: Actor, service_id: str, query: dict[str, Any]) -> Any:
    level = LogLevel(query["level"]) if query["level"] else None
    return logs.list_entries(actor, service_id, **(query | {"level": level}))


@monitoring.post("/logs")
@operation(
    "Add log entries; the good ones are stored, the others named",
    Permission.LOGS_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    body=schemas.LogEntriesIn,
    answer=schemas.IngestOut,
    status=202,
    limits=INGEST,
)
def add_logs(actor: Actor, service_id: str, body: dict[str, Any]) -> dict[str, Any]:
    good, rejected = sort_out(schemas.LogEntryIn, body["entries"])
    entries = [logs.NewLogEntry(**entry) for entry in good]
    accepted = logs.store_entries(actor, service_id, entries)
    return {"accepted": accepted, "rejected": rejected}


@monitoring.get("/usage")
@operation(
    "Totals of a timeframe that ends now",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=schemas.TimeframeQuery,
    answer=schemas.UsageOut,
)
def show_usage(actor: Actor, service_id: str, query: dict[str, Any]) -> metrics.Usage:
    text = query["timeframe"]
    return metrics.read_usage(actor, service_id, text, parse_timeframe(text))
