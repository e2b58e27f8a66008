"""The wire form of a configuration's history, and of what is done with it."""

from marshmallow import fields
from marshmallow.validate import Length, Range

from cms_services.web.fields import AnswerSchema, Configuration, Moment, WireSchema

_LAST_VERSION = 2**31 - 1


class BreakingQuery(WireSchema):
    allow_breaking = fields.Boolean(
        data_key="allowBreaking",
        load_default=False,
        metadata={"description": "Whether values may go that other services take."},
    )


class ComparisonQuery(WireSchema):
    since = fields.Integer(
        load_default=None,
        validate=Range(0, _LAST_VERSION),
        metadata={"description": "The version to compare with; default: the one before."},
    )


class VersionsComparedQuery(WireSchema):
    """Two versions on a page; without `to`, with the newest."""

    since = fields.Integer(required=True, validate=Range(0, _LAST_VERSION))
    to = fields.Integer(load_default=None, validate=Range(1, _LAST_VERSION))


class SecretPath(WireSchema):
    path = fields.String(required=True, validate=Length(1, 1024))


class RevealedSecretOut(AnswerSchema):
    path = fields.String(required=True)
    value = fields.String(required=True)


class DifferenceOut(AnswerSchema):
    path = fields.String(required=True)
    change = fields.String(required=True)
    before = fields.Raw(allow_none=True, required=True)
    after = fields.Raw(allow_none=True, required=True)


class _VersionOut(AnswerSchema):
    number = fields.Integer(required=True)
    author_id = fields.String(data_key="authorId", allow_none=True, required=True)
    created_at = Moment(data_key="createdAt", required=True)


class ConfigurationVersionOut(_VersionOut):
    author_name = fields.String(data_key="authorName", allow_none=True, required=True)
    changes = fields.List(fields.Nested(DifferenceOut), allow_none=True, required=True)


class ConfigurationVersionDetail(_VersionOut):
    document = Configuration(required=True)


class ComparisonOut(AnswerSchema):
    since = fields.Integer(required=True)
    to = fields.Integer(required=True)
    changes = fields.List(fields.Nested(DifferenceOut), required=True)


class DependentOut(AnswerSchema):
    service_id = fields.String(data_key="serviceId", required=True)
    name = fields.String(required=True)
    variable = fields.String(required=True)
    export = fields.String(required=True)
