"""The wire form of what operators ask."""

from marshmallow import fields

from cms_services.web.fields import AnswerSchema


class AliveOut(AnswerSchema):
    status = fields.String(required=True)


class ReadyOut(AnswerSchema):
    database = fields.String(required=True)
    redis = fields.String(required=True)
