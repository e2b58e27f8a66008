"""The wire form of one change of many services."""

from marshmallow import fields
from marshmallow.validate import Length

from cms_services.catalogue.bulk import MOST_AT_ONCE, BulkAction
from cms_services.vocabulary import Status
from cms_services.web.fields import AnswerSchema, Name, Texts, word
from cms_services.web.schemas.services import Reason


class BulkIn(Reason):
    action = word(BulkAction, required=True)
    service_ids = fields.List(
        Name(), data_key="serviceIds", required=True, validate=Length(1, MOST_AT_ONCE)
    )
    tags = Texts(load_default=(), metadata={"description": "Of `tag` and `untag`."})


class BulkErrorOut(AnswerSchema):
    code = fields.String(required=True)
    message = fields.String(required=True)
    details = fields.Raw(allow_none=True, required=True)


class BulkResultOut(AnswerSchema):
    service_id = fields.String(
        data_key="serviceId", required=True, metadata={"description": "As it was sent."}
    )
    ok = fields.Boolean(required=True)
    status = word(Status, allow_none=True, required=True)
    tags = fields.List(fields.String(), allow_none=True, required=True)
    error = fields.Nested(BulkErrorOut, allow_none=True, required=True)


class BulkOut(AnswerSchema):
    succeeded = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    results = fields.List(fields.Nested(BulkResultOut), required=True)
