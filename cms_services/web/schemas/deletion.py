"""The answer to what deleted something."""

from marshmallow import fields

from cms_services.web.fields import AnswerSchema


class DeletedOut(AnswerSchema):
    id = fields.String(required=True)
    deleted = fields.Boolean(required=True)
