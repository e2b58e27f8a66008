"""The wire form of audit entries and events."""

from marshmallow import fields

from cms_services.web.fields import AnswerSchema, Moment, Name, Number, WireSchema
from cms_services.web.schemas.paging import PageQuery


class AuditQuery(PageQuery):
    target_id = Name(data_key="targetId", load_default=None)
    actor_id = Name(data_key="actorId", load_default=None)
    action = Name(load_default=None)
    since = Moment(load_default=None)
    until = Moment(load_default=None)


class AuditExportQuery(WireSchema):
    since = Moment(load_default=None)
    until = Moment(load_default=None)


class AuditEntryOut(AnswerSchema):
    id = Number(required=True)
    at = Moment(required=True)
    action = fields.String(required=True)
    actor_id = fields.String(data_key="actorId", allow_none=True, required=True)
    actor_name = fields.String(data_key="actorName", required=True)
    target_type = fields.String(data_key="targetType", required=True)
    target_id = fields.String(data_key="targetId", required=True)
    owner_id = fields.String(data_key="ownerId", allow_none=True, required=True)
    changes = fields.Dict(keys=fields.String(), required=True)
    request_id = fields.String(data_key="requestId", allow_none=True, required=True)
    # Of others' entries, for admins alone.
    address = fields.String(allow_none=True, required=True)


class ExportedAuditEntry(AuditEntryOut):
    # Null in entries that are older than the chain.
    mac = fields.String(allow_none=True, required=True)


class EventsQuery(PageQuery):
    subject = Name(load_default=None)
    event_type = Name(data_key="type", load_default=None)


class EventStreamQuery(WireSchema):
    until = Moment(load_default=None)


class EventOut(AnswerSchema):
    sequence = Number(required=True)
    id = fields.String(required=True)
    at = Moment(data_key="time", required=True)
    type = fields.String(required=True)
    subject = fields.String(required=True)
    data = fields.Dict(keys=fields.String(), required=True)
