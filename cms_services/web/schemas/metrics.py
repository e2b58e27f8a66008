"""The wire form of metrics."""

from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length, Range, Regexp

from cms_services.durations import parse_timeframe
from cms_services.web.fields import AnswerSchema, Moment, WireSchema

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


class SamplesIn(WireSchema):
    samples = fields.List(fields.Raw(), required=True, validate=Length(max=10_000))
