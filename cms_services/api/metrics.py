"""/api/services/{serviceId}/metrics and /usage."""

from typing import Any

from flask import Blueprint

from cms_services.actor import Actor
from cms_services.durations import parse_timeframe
from cms_services.monitoring import usage
from cms_services.monitoring.metrics import samples as stored
from cms_services.monitoring.metrics.values import NewSample
from cms_services.vocabulary import Permission, Relation
from cms_services.web.ingest import sort_out
from cms_services.web.limits import INGEST
from cms_services.web.metric_sources import metrics_of
from cms_services.web.operations import operation
from cms_services.web.schemas import metrics as schemas
from cms_services.web.schemas.ingest import IngestOut

metrics = Blueprint("metrics", __name__, url_prefix="/api/services/<service_id>")


@metrics.get("/metrics")
@operation(
    "Series and summaries of a timeframe that ends now",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=schemas.TimeframeQuery,
    answer=schemas.MetricsOut,
)
def show_metrics(actor: Actor, service_id: str, query: dict[str, Any]) -> stored.Metrics:
    text = query["timeframe"]
    return metrics_of(actor, service_id, text, parse_timeframe(text))


@metrics.post("/metrics")
@operation(
    "Add samples; the good ones are stored, the others named",
    Permission.METRICS_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    body=schemas.SamplesIn,
    answer=IngestOut,
    status=202,
    takes_batch=True,
    limits=INGEST,
)
def add_metrics(actor: Actor, service_id: str, body: dict[str, Any]) -> dict[str, Any]:
    good, rejected = sort_out(schemas.SampleIn, body["samples"])
    samples = [NewSample(**sample) for sample in good]
    accepted = stored.store_samples(actor, service_id, samples)
    return {"accepted": accepted, "rejected": rejected}


@metrics.get("/usage")
@operation(
    "Totals of a timeframe that ends now",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=schemas.TimeframeQuery,
    answer=schemas.UsageOut,
)
def show_usage(actor: Actor, service_id: str, query: dict[str, Any]) -> usage.Usage:
    text = query["timeframe"]
    return usage.read_usage(actor, service_id, text, parse_timeframe(text))
