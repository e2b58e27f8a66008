"""Asking for a page of a list."""

from marshmallow import fields
from marshmallow.validate import Length

from cms_services.web.fields import WireSchema, limit


class PageQuery(WireSchema):
    limit = limit(50, 500)
    cursor = fields.String(load_default=None, validate=Length(max=2000))


class SearchQuery(PageQuery):
    q = fields.String(load_default=None, validate=Length(max=255))
