"""/v1/metrics and /v1/logs: the addresses that OpenTelemetry's SDKs and collectors send to."""

from flask import Blueprint, Response
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from cms_services.actor import Actor
from cms_services.clock import now
from cms_services.monitoring.ingest_tokens import service_of_token
from cms_services.monitoring.logs.ingest import store_entries
from cms_services.monitoring.metrics.ingest import store_samples
from cms_services.monitoring.protocols.otlp_logs import decode_logs
from cms_services.monitoring.protocols.otlp_metrics import decode_metrics
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission, Relation
from cms_services.web.batches import stored_by
from cms_services.web.limits import INGEST
from cms_services.web.operations import operation
from cms_services.web.otlp import OTLP_TYPES, answer_export, partial_success, read_export

otlp = Blueprint("otlp", __name__, url_prefix="/v1")


@otlp.post("/metrics")
@operation(
    "Add metrics by OTLP",
    Permission.METRICS_WRITE,
    needs=Relation.ITSELF,
    transaction="own",
    takes=OTLP_TYPES,
    takes_batch=True,
    media_types=OTLP_TYPES,
    limits=INGEST,
)
def export_metrics(actor: Actor) -> Response:
    service_id = service_of_token(actor)
    decoded = decode_metrics(read_export(ExportMetricsServiceRequest), now())
    stored = stored_by(lambda: store_samples(service_id, decoded.samples, distinct=True))
    answer = ExportMetricsServiceResponse()
    rejected = [*decoded.rejected, *stored.rejected]
    if rejected:
        answer.partial_success.rejected_data_points, told = partial_success(rejected)
        answer.partial_success.error_message = told
    return answer_export(answer)


@otlp.post("/logs")
@operation(
    "Add log records by OTLP",
    Permission.LOGS_WRITE,
    needs=Relation.ITSELF,
    transaction="own",
    takes=OTLP_TYPES,
    takes_batch=True,
    media_types=OTLP_TYPES,
    limits=INGEST,
)
def export_logs(actor: Actor) -> Response:
    service_id = service_of_token(actor)
    entries = decode_logs(read_export(ExportLogsServiceRequest))
    masking = current_settings().log_masking
    stored = stored_by(lambda: store_entries(service_id, entries, masking=masking))
    answer = ExportLogsServiceResponse()
    if stored.rejected:
        answer.partial_success.rejected_log_records, told = partial_success(stored.rejected)
        answer.partial_success.error_message = told
    return answer_export(answer)
