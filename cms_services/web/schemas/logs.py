"""The wire form of log entries."""

from marshmallow import fields
from marshmallow.validate import Length

from cms_services.vocabulary import LogLevel
from cms_services.web.fields import AnswerSchema, Moment, Number, WireSchema, limit, word

_OMIT_NULL = {"omit_null": True}


class LogEntryIn(WireSchema):
    at = Moment(data_key="timestamp")
    level = word(LogLevel, required=True)
    message = fields.String(required=True, validate=Length(1, 65_536))
    source = fields.String(validate=Length(max=255))
    attributes = fields.Dict(keys=fields.String())
    trace_id = fields.String(data_key="traceId", allow_none=True, validate=Length(max=64))
    client_id = fields.String(data_key="id", allow_none=True, validate=Length(1, 255))


class LogEntriesIn(WireSchema):
    entries = fields.List(fields.Raw(), required=True, validate=Length(max=10_000))


class LogsQuery(WireSchema):
    level = word(LogLevel, load_default=None)
    since = Moment(load_default=None)
    until = Moment(load_default=None)
    q = fields.String(load_default=None, validate=Length(max=255))
    limit = limit(100, 1000)
    cursor = fields.String(load_default=None, validate=Length(max=2000))


class LogEntryOut(AnswerSchema):
    id = Number(required=True)
    at = Moment(data_key="timestamp", required=True)
    level = word(LogLevel, required=True)
    message = fields.String(required=True)
    source = fields.String(required=True)
    attributes = fields.Dict(keys=fields.String(), required=True)
    trace_id = fields.String(data_key="traceId", metadata=_OMIT_NULL)
