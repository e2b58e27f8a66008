"""Requests and answers of OTLP over HTTP, in protobuf or JSON, as the request is.

https://opentelemetry.io/docs/specs/otlp/#otlphttp. A refusal is a google.rpc.Status; in JSON it has
our own `success` and `error` beside it, which clients of OTLP skip.
"""

from collections.abc import Sequence
from typing import TypeVar

from flask import Response, request
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from werkzeug.exceptions import UnsupportedMediaType

from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.protocols.otlp import read_json, read_protobuf
from cms_services.web.envelope import JSON_TYPE, WireJSON
from cms_services.web.packed_bodies import read_packed_body

PROTOBUF_TYPE = "application/x-protobuf"
OTLP_TYPES = (PROTOBUF_TYPE, JSON_TYPE)
Export = TypeVar("Export", bound=Message)
_ADDRESSES = ("/v1/metrics", "/v1/logs")
# google.rpc.Code by status: those that OTLP's own table of gRPC names, else UNKNOWN.
_RPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 413: 8, 415: 3, 429: 8, 503: 14}
_UNKNOWN = 2
_MOST_TOLD = 20


def read_export(kind: type[Export]) -> Export:
    """The request's message. Raises MalformedBody, UnsupportedMediaType, RequestEntityTooLarge."""
    if request.mimetype == PROTOBUF_TYPE:
        return read_protobuf(kind, read_packed_body())
    if request.mimetype == JSON_TYPE:
        return read_json(kind, read_packed_body())
    raise UnsupportedMediaType(f"Send the body as {' or '.join(OTLP_TYPES)}.")


def answer_export(message: Message) -> Response:
    """Success, or partial success, as an ExportXServiceResponse."""
    if request.mimetype == PROTOBUF_TYPE:
        return Response(message.SerializeToString(), mimetype=PROTOBUF_TYPE)
    return Response(WireJSON.to_bytes(MessageToDict(message)), mimetype=JSON_TYPE)


def partial_success(rejected: Sequence[Rejected]) -> tuple[int, str]:
    """How many entries were not taken, and why: the first few by their place in the request."""
    told = [f"[{each.index}] {each.message}" for each in rejected[:_MOST_TOLD]]
    if len(rejected) > _MOST_TOLD:
        told.append(f"and {len(rejected) - _MOST_TOLD} more")
    return len({each.index for each in rejected}), "; ".join(told)


def is_otlp() -> bool:
    """Whether this request is for one of the addresses that OTLP's clients know."""
    return request.path in _ADDRESSES


def refusal(code: str, message: str, status: int) -> Response:
    """A failure as google.rpc.Status (https://cloud.google.com/apis/design/errors)."""
    rpc_code = _RPC_CODES.get(status, _UNKNOWN)
    if request.mimetype == PROTOBUF_TYPE:
        body = _Status(code=rpc_code, message=message).SerializeToString()
        return Response(body, status, mimetype=PROTOBUF_TYPE)
    error = {"code": code, "message": message}
    told = {"code": rpc_code, "message": message, "success": False, "error": error}
    return Response(WireJSON.to_bytes(told), status, mimetype=JSON_TYPE)


def _status_message() -> type[Message]:
    """google.rpc.Status without its details, from google/rpc/status.proto."""
    file = descriptor_pb2.FileDescriptorProto(
        name="cms_services/status.proto", package="cms_services.rpc", syntax="proto3"
    )
    status = file.message_type.add(name="Status")
    optional = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    for name, number, kind in (
        ("code", 1, descriptor_pb2.FieldDescriptorProto.TYPE_INT32),
        ("message", 2, descriptor_pb2.FieldDescriptorProto.TYPE_STRING),
    ):
        status.field.add(name=name, number=number, type=kind, label=optional)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("cms_services.rpc.Status")
    return message_factory.GetMessageClass(found)


_Status = _status_message()
