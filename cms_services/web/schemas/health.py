"""The wire form of health."""

from marshmallow import fields

from cms_services.vocabulary import HealthStatus
from cms_services.web.fields import AnswerSchema, Moment, word


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
