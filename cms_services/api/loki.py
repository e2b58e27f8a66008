"""/loki/api/v1/push: what Promtail, Grafana Alloy, Fluent Bit and other clients of Loki send to."""

from flask import Blueprint, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from cms_services.actor import Actor
from cms_services.errors import ValidationFailed
from cms_services.monitoring.ingest_tokens import service_of_token
from cms_services.monitoring.logs.ingest import store_entries
from cms_services.monitoring.protocols.loki import read_push
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission, Relation
from cms_services.web.batches import stored_by
from cms_services.web.envelope import JSON_TYPE
from cms_services.web.limits import INGEST
from cms_services.web.operations import operation
from cms_services.web.otlp import PROTOBUF_TYPE
from cms_services.web.packed_bodies import read_packed_body

loki = Blueprint("loki", __name__, url_prefix="/loki/api/v1")
_TYPES = (JSON_TYPE, PROTOBUF_TYPE)
# Clients write the answer into a log line.
_MOST_TOLD = 20


@loki.post("/push")
@operation(
    "Log lines as clients of Grafana Loki push them",
    Permission.LOGS_WRITE,
    needs=Relation.ITSELF,
    transaction="own",
    takes=_TYPES,
    takes_batch=True,
    status=204,
    limits=INGEST,
)
def push(actor: Actor) -> Response:
    """As Loki does, store the good lines and answer 400 where others are bad.

    Its clients try again after 429 and 5xx alone.
    """
    service_id = service_of_token(actor)
    if request.mimetype not in _TYPES:
        raise UnsupportedMediaType(f"Send the body as {' or '.join(_TYPES)}.")
    protobuf = request.mimetype == PROTOBUF_TYPE
    body = read_packed_body(packed_by="snappy" if protobuf else "identity")
    entries, rejected = read_push(body, protobuf=protobuf)
    masking = current_settings().log_masking
    stored = stored_by(lambda: store_entries(service_id, entries, masking=masking))
    rejected += stored.rejected
    if rejected:
        told = sorted(rejected, key=lambda each: each.index)[:_MOST_TOLD]
        raise ValidationFailed(
            {f"lines.{each.index}": [each.message] for each in told},
            f"{len(rejected)} of the lines can't be stored; the others are.",
        )
    return Response(status=204)
