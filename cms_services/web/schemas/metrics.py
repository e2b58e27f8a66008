"""The wire form of metrics."""

from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length

from cms_services.durations import parse_timeframe
from cms_services.web.fields import AnswerSchema, Moment, WireSchema


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


class _Names(fields.String):
    """Names of metrics, separated by commas."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs) or ""
        return {name.strip() for name in text.split(",")} - {""}


class MetricsQuery(TimeframeQuery):
    names = _Names(
        load_default=None,
        validate=Length(max=100),
        metadata={"description": "Names of metrics, separated by commas; all without it."},
    )


class _OfTimeframe(AnswerSchema):
    service_id = fields.String(data_key="serviceId", required=True)
    timeframe = fields.String(required=True)
    start = Moment(data_key="from", required=True)
    end = Moment(data_key="to", required=True)


class _OfBuckets(_OfTimeframe):
    step = fields.Integer(required=True, metadata={"description": "Seconds in a bucket."})


class MetricsOut(_OfBuckets):
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


class PercentilesOut(_OfBuckets):
    percentiles = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(),
        required=True,
        metadata={"description": "Name to p50, p95 and p99, each [[time, value], ...]."},
    )


class UsageOut(_OfTimeframe):
    requests = fields.Float(required=True)
    errors = fields.Float(required=True)
    error_rate = fields.Float(data_key="errorRate", allow_none=True, required=True)
    average_response_time = fields.Float(
        data_key="averageResponseTime", allow_none=True, required=True
    )
    log_entries = fields.Dict(
        data_key="logEntries", keys=fields.String(), values=fields.Integer(), required=True
    )
