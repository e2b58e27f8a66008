"""/api/services/{serviceId}/health."""

from typing import Any

from flask import Blueprint

from cms_services.actor import Actor
from cms_services.monitoring.health import reports
from cms_services.vocabulary import Permission, Relation
from cms_services.web.health_check import check_now
from cms_services.web.limits import HEALTH_CHECK
from cms_services.web.operations import operation
from cms_services.web.schemas import health as schemas
from cms_services.web.schemas.paging import PageQuery

health = Blueprint("health", __name__, url_prefix="/api/services/<service_id>")


@health.get("/health")
@operation(
    "The newest health report",
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
    "Earlier health reports, newest first",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=PageQuery,
    answer=schemas.HealthHistoryOut,
    many=True,
)
def health_history(actor: Actor, service_id: str, query: dict[str, Any]) -> Any:
    return reports.health_history(actor, service_id, **query)
