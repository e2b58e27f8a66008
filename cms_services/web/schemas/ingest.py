"""The wire form of the answer to a batch."""

from marshmallow import fields

from cms_services.web.fields import AnswerSchema


class RejectedOut(AnswerSchema):
    index = fields.Integer(required=True)
    message = fields.String(required=True)


class IngestOut(AnswerSchema):
    accepted = fields.Integer(required=True)
    rejected = fields.List(fields.Nested(RejectedOut), required=True)
