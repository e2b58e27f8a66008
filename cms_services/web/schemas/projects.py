"""The wire form of projects and their members."""

from marshmallow import fields
from marshmallow.validate import Length

from cms_services.vocabulary import ProjectRole
from cms_services.web.fields import AnswerSchema, Moment, Name, WireSchema, word

_DESCRIPTION = Length(max=10_000)


class ProjectOut(AnswerSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    created_at = Moment(data_key="createdAt", required=True)
    updated_at = Moment(data_key="updatedAt", required=True)


class ProjectChange(WireSchema):
    name = Name()
    description = fields.String(validate=_DESCRIPTION)


class ProjectCreation(ProjectChange):
    name = Name(required=True)


class MemberIn(WireSchema):
    role = word(ProjectRole, required=True)


class NewMember(MemberIn):
    email = fields.String(required=True, validate=Length(1, 255))


class MemberOut(AnswerSchema):
    user_id = fields.String(data_key="userId", required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    role = word(ProjectRole, required=True)
