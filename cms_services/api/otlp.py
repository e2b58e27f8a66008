"""/v1/metrics and /v1/logs: the addresses that OpenTelemetry's SDKs and collectors send to."""

from flask import Blueprint, Response
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from cms_services.actor import Actor
from cms_services.monitoring.ingest_tokens import service_of_token
from cms_services.monitoring.logs.ingest import store_entries
from cms_services.monitoring.protocols import otlp_logs
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission, Relation
from cms_services.web.limits import INGEST
from cms_services.web.operations import operation
from cms_services.web.otlp import OTLP_TYPES, answer_export, read_export
from cms_services.web.transactions import writing

otlp = Blueprint("otlp", __name__, url_prefix="/v1")


@otlp.post("/logs")
@operation(
    "Log records by the OpenTelemetry Protocol",
    Permission.LOGS_WRITE,
    needs=Relation.ITSELF,
    # Reading a long batch must not hold SQLite's only writer.
    transaction="own",
    takes=OTLP_TYPES,
    takes_batch=True,
    media_types=OTLP_TYPES,
    limits=INGEST,
)
def add_logs(actor: Actor) -> Response:
    service_id = service_of_token(actor)
    entries = otlp_logs.entries_of(read_export(ExportLogsServiceRequest))
    with writing():
        stored = store_entries(service_id, entries, masking=current_settings().log_masking)
    return answer_export(otlp_logs.response_to(stored))
