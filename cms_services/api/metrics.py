"""/api/services/{serviceId}/metrics and /usage."""

from typing import Any

from flask import Blueprint

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.durations import parse_timeframe
from cms_services.monitoring import usage
from cms_services.monitoring.batches import Stored
from cms_services.monitoring.metrics.ingest import add_samples
from cms_services.monitoring.metrics.percentile_series import PercentileSeries
from cms_services.monitoring.metrics.reading import Metrics
from cms_services.vocabulary import Permission, Relation
from cms_services.web.bodies import load, read_json_object
from cms_services.web.envelope import JSON_TYPE
from cms_services.web.limits import INGEST
from cms_services.web.metric_sources import metrics_of, percentiles_of
from cms_services.web.operations import operation
from cms_services.web.schemas import metrics as schemas
from cms_services.web.schemas.ingest import IngestOut
from cms_services.web.schemas.samples import SamplesIn, read_samples
from cms_services.web.transactions import reading, written

metrics = Blueprint("metrics", __name__, url_prefix="/api/services/<service_id>")


@metrics.get("/metrics")
@operation(
    "Series and summaries of a timeframe that ends now",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=schemas.MetricsQuery,
    answer=schemas.MetricsOut,
)
def show_metrics(actor: Actor, service_id: str, query: dict[str, Any]) -> Metrics:
    text = query["timeframe"]
    return metrics_of(actor, service_id, text, parse_timeframe(text), query["names"])


@metrics.get("/metrics/percentiles")
@operation(
    "The percentiles of histograms over a timeframe that ends now",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=schemas.MetricsQuery,
    answer=schemas.PercentilesOut,
)
def show_percentiles(actor: Actor, service_id: str, query: dict[str, Any]) -> PercentileSeries:
    text = query["timeframe"]
    return percentiles_of(actor, service_id, text, parse_timeframe(text), query["names"])


@metrics.post("/metrics")
@operation(
    "Add samples; the good ones are stored, the others named",
    Permission.METRICS_WRITE,
    needs=Relation.EDITOR,
    # The body is read between the two.
    transaction="own",
    body=SamplesIn,
    takes=(JSON_TYPE,),
    answer=IngestOut,
    status=202,
    takes_batch=True,
    limits=INGEST,
)
def add_metrics(actor: Actor, service_id: str) -> Stored:
    with reading():
        # Who may not write here costs nothing but this.
        load_service(actor, service_id, for_change=True, lock=False)
    body = load(SamplesIn, read_json_object())
    samples, rejected = read_samples(body["samples"])
    return written(lambda: add_samples(actor, service_id, samples, body["batch_id"], rejected))


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
