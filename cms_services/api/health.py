"""/api/services/{serviceId}/health and /heartbeats."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response

from cms_services.actor import Actor
from cms_services.clock import now
from cms_services.monitoring.health import reports
from cms_services.monitoring.health.heartbeats import take_heartbeat
from cms_services.monitoring.health.models import Heartbeat
from cms_services.monitoring.health.uptime import Uptime, uptime_between
from cms_services.vocabulary import Permission, Relation
from cms_services.web.health_check import check_now
from cms_services.web.limits import HEALTH_CHECK, INGEST
from cms_services.web.operations import operation
from cms_services.web.schemas import health as schemas
from cms_services.web.schemas.paging import PageQuery
from cms_services.web.uptime_table import CSV_TYPE, uptime_as_csv

health = Blueprint("health", __name__, url_prefix="/api/services/<service_id>")


@health.get("/health")
@operation(
    "What is known of its health",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    answer=schemas.HealthOut,
)
def show_health(actor: Actor, service_id: str) -> reports.Health:
    return reports.latest_health(actor, service_id)


@health.post("/health")
@operation(
    "Run the checks now",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    transaction="own",
    answer=schemas.HealthOut,
    limits=HEALTH_CHECK,
)
def run_health(actor: Actor, service_id: str) -> reports.Health:
    return check_now(actor, service_id)


@health.get("/health/history")
@operation(
    "Reports that were kept, of changes and by hand, newest first",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=PageQuery,
    answer=schemas.HealthHistoryOut,
    many=True,
)
def health_history(actor: Actor, service_id: str, query: dict[str, Any]) -> Any:
    return reports.health_history(actor, service_id, **query)


@health.get("/health/changes")
@operation(
    "When checks changed their status, and why, newest first",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=PageQuery,
    answer=schemas.HealthChangeOut,
    many=True,
)
def health_changes(actor: Actor, service_id: str, query: dict[str, Any]) -> Any:
    return reports.health_changes(actor, service_id, **query)


@health.get("/health/uptime")
@operation(
    "Uptime of a month, or between two moments, with its periods",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=schemas.UptimeQuery,
    answer=schemas.UptimeOut,
    media_types=(CSV_TYPE,),
)
def health_uptime(actor: Actor, service_id: str, query: dict[str, Any]) -> Uptime | Response:
    start, end = _stretch(query)
    uptime = uptime_between(actor, service_id, start, end)
    if query["format"] == "json":
        return uptime
    response = Response(uptime_as_csv(uptime), mimetype=CSV_TYPE)
    response.headers["Content-Disposition"] = 'attachment; filename="uptime.csv"'
    return response


@health.post("/heartbeats/<check>")
@operation(
    "Tell that a job or worker of the service lives",
    Permission.METRICS_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    body=schemas.HeartbeatIn,
    answer=schemas.HeartbeatOut,
    status=202,
    limits=INGEST,
)
def add_heartbeat(actor: Actor, service_id: str, check: str, body: dict[str, Any]) -> Heartbeat:
    return take_heartbeat(
        actor,
        service_id,
        check,
        failed=body["status"] == "failed",
        message=body["message"],
        duration_ms=body["duration_ms"],
    )


def _stretch(query: dict[str, Any]) -> tuple[datetime, datetime]:
    """The stretch of time that is asked for: the present month without a word."""
    if query["start"] is not None:
        return query["start"], query["end"] or now()
    if query["month"] is None:
        start = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    else:
        start = datetime.strptime(query["month"], "%Y-%m").replace(tzinfo=UTC)
    return start, (start + timedelta(days=31)).replace(day=1)
