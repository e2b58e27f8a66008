"""/api/v1/write: Prometheus remote write, at the address that its receivers have by custom."""

from flask import Blueprint, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from cms_services.actor import Actor
from cms_services.errors import ValidationFailed
from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.ingest_tokens import service_of_token
from cms_services.monitoring.metrics.ingest import store_samples
from cms_services.monitoring.protocols.remote_write import decode_write_request
from cms_services.vocabulary import Permission, Relation
from cms_services.web.batches import stored_by
from cms_services.web.limits import INGEST
from cms_services.web.operations import operation
from cms_services.web.otlp import PROTOBUF_TYPE
from cms_services.web.packed_bodies import read_packed_body

remote_write = Blueprint("remote_write", __name__, url_prefix="/api/v1")

_MESSAGE = "prometheus.WriteRequest"
_MOST_TOLD = 20


@remote_write.post("/write")
@operation(
    "Add metrics by Prometheus remote write 1.0",
    Permission.METRICS_WRITE,
    needs=Relation.ITSELF,
    transaction="own",
    takes=(PROTOBUF_TYPE,),
    takes_batch=True,
    media_types=(PROTOBUF_TYPE,),
    status=204,
    limits=INGEST,
)
def write(actor: Actor) -> Response:
    """What can be stored is; for the rest the answer is 400, after which nothing is sent again."""
    service_id = service_of_token(actor)
    _require_version_1()
    decoded = decode_write_request(read_packed_body(packed_by="snappy"))
    stored = stored_by(lambda: store_samples(service_id, decoded.samples, distinct=True))
    rejected = [*decoded.rejected, *stored.rejected]
    if rejected:
        raise _refusal(rejected)
    return Response(status=204)


def _require_version_1() -> None:
    if request.mimetype != PROTOBUF_TYPE:
        raise UnsupportedMediaType(f"Send the body as {PROTOBUF_TYPE}, packed by snappy.")
    if request.mimetype_params.get("proto", _MESSAGE) != _MESSAGE:
        raise UnsupportedMediaType("This takes remote write 1.0: set protobuf_message to it.")


def _refusal(rejected: list[Rejected]) -> ValidationFailed:
    told = {f"timeseries.{each.index}": [each.message] for each in rejected[:_MOST_TOLD]}
    count = len({each.index for each in rejected})
    return ValidationFailed(told, f"{count} series were not stored; {rejected[0].message}")
