"""The wire form of health, metrics and logs."""

from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length, Range, Regexp

from cms_services.durations import parse_timeframe
from cms_services.vocabulary import HealthStatus, LogLevel
from cms_services.web.fields import AnswerSchema, Moment, Number, WireSchema, limit, word

_OMIT_NULL = {"omit_null": True}
_METRIC_NAME = Regexp(r"^[a-zA-Z_][a-zA-Z0-9_.]{0,99}\Z")
# Beyond this a sum of samples could leave the range of a double.
_LARGEST_SAMPLE = 1e18


class _Timeframe(fields.String):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        try:
            parse_timeframe(text or "")
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return text


class CheckOut(AnswerSchema):
    name = fields.String(required=True)
    type = fields.String(required=True)
    status = word(HealthStatus, required=True)
    response_time_ms = fields.Float(data_key="responseTimeMs", allow_none=True, required=True)
    message = fields.String(required=True)
    checked_at = fields.String(
        data_key="checkedAt", required=True, metadata={"format": "date-time"}
    )


class HealthHistoryOut(AnswerSchema):
    checked_at = Moment(data_key="checkedAt", allow_none=True, required=True)
    status = word(HealthStatus, required=True)
    response_time_ms = fields.Float(data_key="responseTimeMs", allow_none=True, required=True)
    checks = fields.List(fields.Nested(CheckOut), required=True)


class UptimeOut(AnswerSchema):
    day = fields.Float(data_key="24h", attribute="24h", allow_none=True, required=True)
    week = fields.Float(data_key="7d", attribute="7d", allow_none=True, required=True)
    month = fields.Float(data_key="30d", attribute="30d", allow_none=True, required=True)


class HealthOut(HealthHistoryOut):
    service_id = fields.String(data_key="serviceId", required=True)
    uptime = fields.Nested(UptimeOut, required=True)

    class Meta(AnswerSchema.Meta):
        fields = ("service_id", "status", "checked_at", "response_time_ms", "checks", "uptime")


class TimeframeQuery(WireSchema):
    timeframe = _Timeframe(load_default="24h")


class MetricsOut(AnswerSchema):
    service_id = fields.String(data_key="serviceId", required=True)
    timeframe = fields.String(required=True)
    start = Moment(data_key="from", required=True)
    end = Moment(data_key="to", required=True)
    step = fields.Integer(required=True, metadata={"description": "Seconds in a bucket."})
    series = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(),
        required=True,
        metadata={"description": "Name to [[time, value], ...]."},
    )
    summary = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.Float()),
        required=True,
    )


class UsageOut(AnswerSchema):
    service_id = fields.String(data_key="serviceId", required=True)
    timeframe = fields.String(required=True)
    start = Moment(data_key="from", required=True)
    end = Moment(data_key="to", required=True)
    requests = fields.Float(required=True)
    errors = fields.Float(required=True)
    error_rate = fields.Float(data_key="errorRate", allow_none=True, required=True)
    average_response_time = fields.Float(
        data_key="averageResponseTime", allow_none=True, required=True
    )
    log_entries = fields.Dict(
        data_key="logEntries", keys=fields.String(), values=fields.Integer(), required=True
    )


class SampleIn(WireSchema):
    name = fields.String(required=True, validate=_METRIC_NAME)
    value = fields.Float(required=True, validate=Range(-_LARGEST_SAMPLE, _LARGEST_SAMPLE))
    at = Moment(data_key="timestamp")
    labels = fields.Dict(
        keys=fields.String(validate=Length(1, 100)),
        values=fields.String(validate=Length(max=255)),
        validate=Length(max=20),
    )


class LogEntryIn(WireSchema):
    at = Moment(data_key="timestamp")
    level = word(LogLevel, required=True)
    message = fields.String(required=True, validate=Length(1, 65_536))
    source = fields.String(validate=Length(max=255))
    attributes = fields.Dict(keys=fields.String())
    trace_id = fields.String(data_key="traceId", allow_none=True, validate=Length(max=64))
    client_id = fields.String(data_key="id", allow_none=True, validate=Length(1, 255))


class SamplesIn(WireSchema):
    samples = fields.List(fields.Raw(), required=True, validate=Length(max=10_000))


class LogEntriesIn(WireSchema):
    entries = fields.List(fields.Raw(), required=True, validate=Length(max=10_000))


class RejectedOut(AnswerSchema):
    index = fields.Integer(required=True)
    message = fields.String(required=True)


class IngestOut(AnswerSchema):
    accepted = fields.Integer(required=True)
    rejected = fields.List(fields.Nested(RejectedOut), required=True)


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
