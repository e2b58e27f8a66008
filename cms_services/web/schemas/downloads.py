"""The wire form of downloads and of links to them."""

from functools import cache

from marshmallow import fields
from marshmallow.validate import OneOf

from cms_services.web.fields import AnswerSchema, Moment, WireSchema


@cache
def download_query(bundle_name: str, formats: tuple[str, ...]) -> type[WireSchema]:
    """What a bundle of these formats is asked for by."""

    class Query(WireSchema):
        format = fields.String(load_default=formats[0], validate=OneOf(formats))
        secrets = fields.String(
            load_default="masked",
            validate=OneOf(["masked", "include"]),
            metadata={"description": "`include` takes an editor with the permission secrets:read."},
        )

    return type(f"{bundle_name.title()}Download", (Query,), {})


class LinkOut(AnswerSchema):
    url = fields.String(required=True)
    expires_at = Moment(data_key="expiresAt", required=True)
