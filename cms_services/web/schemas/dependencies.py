"""The wire form of what depends on what."""

from marshmallow import fields
from marshmallow.validate import OneOf

from cms_services.monitoring.health.overview import STATES
from cms_services.vocabulary import ServiceType, Status
from cms_services.web.fields import AnswerSchema, Name, WireSchema, word


class DependenciesQuery(WireSchema):
    project = Name(load_default=None, metadata={"description": "The name of a project."})


class DependencyNodeOut(AnswerSchema):
    service_id = fields.String(data_key="serviceId", required=True)
    name = fields.String(required=True)
    type = word(ServiceType, required=True)
    status = word(Status, required=True)
    state = fields.String(required=True, validate=OneOf([str(each) for each in STATES]))
    project = fields.String(allow_none=True, required=True)
    missing = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Names under its dependencies by which no service is known."},
    )
    hidden_dependants = fields.Integer(
        data_key="hiddenDependants",
        required=True,
        metadata={"description": "Services that take values from it and are not the caller's."},
    )


class DependencyEdgeOut(AnswerSchema):
    """One service needs another; both by their serviceIds."""

    dependant = fields.String(required=True)
    needed = fields.String(required=True)
    declared = fields.Boolean(
        required=True, metadata={"description": "Whether its dependencies name it."}
    )
    variables = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "The variables that take a value from the needed one."},
    )


class DependenciesOut(AnswerSchema):
    nodes = fields.List(fields.Nested(DependencyNodeOut), required=True)
    edges = fields.List(fields.Nested(DependencyEdgeOut), required=True)
