"""The wire form of health."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length, OneOf, Range, Regexp

from cms_services.monitoring.health.periods import MAINTENANCE
from cms_services.vocabulary import HealthStatus
from cms_services.web.fields import AnswerSchema, Moment, WireSchema, word
from cms_services.wording import worded

_UPTIME_FORMATS = ("json", "csv")


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


class HealthChangeOut(AnswerSchema):
    at = Moment(required=True)
    check = fields.String(required=True)
    before = word(HealthStatus, data_key="from", required=True)
    after = word(HealthStatus, data_key="to", required=True)
    cause = fields.String(required=True)
    details = fields.Dict(required=True)


class RecentUptimeOut(AnswerSchema):
    day = fields.Float(data_key="24h", attribute="24h", allow_none=True, required=True)
    week = fields.Float(data_key="7d", attribute="7d", allow_none=True, required=True)
    month = fields.Float(data_key="30d", attribute="30d", allow_none=True, required=True)


class HealthOut(HealthHistoryOut):
    service_id = fields.String(data_key="serviceId", required=True)
    uptime = fields.Nested(RecentUptimeOut, required=True)

    class Meta(AnswerSchema.Meta):
        fields = ("service_id", "status", "checked_at", "response_time_ms", "checks", "uptime")


class UptimeQuery(WireSchema):
    """A month, or two moments; without either the present month."""

    month = fields.String(
        load_default=None,
        validate=Regexp(
            r"^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])\Z",
            error=worded("Takes a month from 1970-01 to 2999-12, such as 2026-11."),
        ),
        metadata={"description": "A month by UTC, such as 2026-11."},
    )
    start = Moment(data_key="from", load_default=None)
    end = Moment(data_key="to", load_default=None)
    format = fields.String(load_default="json", validate=OneOf(_UPTIME_FORMATS))

    @validates_schema
    def _one_stretch(self, data: dict[str, Any], **_: Any) -> None:
        if data["month"] is not None and (data["start"] or data["end"]):
            raise ValidationError(worded("Give either month or from and to."), "month")
        if data["end"] is not None and data["start"] is None:
            raise ValidationError(worded("Needs from beside it."), "to")


class PeriodOut(AnswerSchema):
    status = fields.String(
        required=True, validate=OneOf([*(str(each) for each in HealthStatus), MAINTENANCE])
    )
    start = Moment(data_key="from", required=True)
    end = Moment(data_key="to", required=True)


class UptimeOut(AnswerSchema):
    service_id = fields.String(data_key="serviceId", required=True)
    start = Moment(data_key="from", required=True)
    end = Moment(data_key="to", required=True)
    percent = fields.Float(allow_none=True, required=True)
    up = fields.Float(required=True, metadata={"description": "Seconds, the degraded among them."})
    degraded = fields.Float(required=True)
    down = fields.Float(required=True)
    maintenance = fields.Float(required=True)
    # The name itself is a setting of schemas.
    not_known = fields.Float(data_key="unknown", attribute="unknown", required=True)
    periods = fields.List(fields.Nested(PeriodOut), required=True)


class HeartbeatIn(WireSchema):
    status = fields.String(load_default="ok", validate=OneOf(["ok", "failed"]))
    message = fields.String(load_default="", validate=Length(max=1000))
    duration_ms = fields.Float(
        data_key="durationMs", load_default=None, allow_none=True, validate=Range(0, 1e12)
    )


class HeartbeatOut(AnswerSchema):
    service_id = fields.String(data_key="serviceId", required=True)
    check = fields.String(required=True)
    at = Moment(required=True)
