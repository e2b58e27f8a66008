"""The wire form of the settings of a project's public status page."""

from marshmallow import fields
from marshmallow.validate import Length

from cms_services.monitoring.status_pages import LONGEST_SLUG, MOST_SHOWN
from cms_services.web.fields import AnswerSchema, Name, WireSchema

_SLUG = Length(1, LONGEST_SLUG)


class ShownServiceIn(WireSchema):
    service_id = Name(data_key="serviceId", required=True)
    name = Name(required=True, metadata={"description": "How the page calls it."})
    key = fields.String(
        load_default=None,
        allow_none=True,
        validate=_SLUG,
        metadata={"description": "What addresses of badges call it; made of the name if absent."},
    )


class StatusPageIn(WireSchema):
    enabled = fields.Boolean(required=True)
    slug = fields.String(
        load_default=None,
        allow_none=True,
        validate=_SLUG,
        metadata={"description": "Its address is /status/ and this."},
    )
    title = Name(required=True)
    services = fields.List(
        fields.Nested(ShownServiceIn), load_default=list, validate=Length(max=MOST_SHOWN)
    )


class ShownServiceOut(AnswerSchema):
    service_id = fields.String(data_key="serviceId", required=True)
    name = fields.String(required=True)
    key = fields.String(required=True)


class StatusPageOut(AnswerSchema):
    enabled = fields.Boolean(required=True)
    slug = fields.String(allow_none=True, required=True)
    title = fields.String(required=True)
    services = fields.List(fields.Nested(ShownServiceOut), required=True)
