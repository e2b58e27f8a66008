"""The wire form of who calls services.php."""

from marshmallow import fields
from marshmallow.validate import Range

from cms_services.web.fields import AnswerSchema, Moment, WireSchema


class UsageQuery(WireSchema):
    days = fields.Integer(
        load_default=30,
        validate=Range(1, 3650),
        metadata={"description": "Of how many days, today included."},
    )


class CallerUseOut(AnswerSchema):
    user_id = fields.String(data_key="userId", allow_none=True, required=True)
    address = fields.String(required=True)
    agent = fields.String(required=True)
    site = fields.String(required=True)
    calls = fields.Integer(required=True)
    last_called_at = Moment(data_key="lastCalledAt", required=True)


class ActionUseOut(AnswerSchema):
    action = fields.String(required=True)
    last_called_at = Moment(data_key="lastCalledAt", required=True)
    answered_here = fields.Integer(data_key="answeredHere", required=True)
    passed_on = fields.Integer(data_key="passedOn", required=True)
    caller_count = fields.Integer(data_key="callerCount", required=True)
    # Those of last; without any word of it, one stands for many others.
    callers = fields.List(fields.Nested(CallerUseOut), required=True)
