"""The wire form of services, their configuration and downloads."""

from marshmallow import fields
from marshmallow.validate import Length

from cms_services.catalogue.listing import SORT_NAMES
from cms_services.catalogue.models import MOST_TAG_CHARACTERS
from cms_services.catalogue.tags import MOST_TAGS
from cms_services.vocabulary import HealthStatus, ServiceType, Status
from cms_services.web.fields import (
    AnswerSchema,
    Configuration,
    Moment,
    Name,
    Texts,
    UnfoldedConfiguration,
    WireSchema,
    Words,
    limit,
    word,
)
from cms_services.web.schemas.paging import SearchQuery

_DESCRIPTION = Length(max=10_000)
_OMIT_NULL = {"omit_null": True}


class SubscriptionOut(AnswerSchema):
    """A subscription, in the fields and order of the dashboard's `Service` interface."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    service_id = fields.String(data_key="serviceId", required=True)
    billing_id = fields.String(data_key="billingId", allow_none=True, required=True)
    cluster_id = fields.String(data_key="clusterId", metadata=_OMIT_NULL)
    start_date = Moment(data_key="startDate", required=True)
    next_billing_date = Moment(data_key="nextBilling", allow_none=True, required=True)
    status = word(Status, required=True)
    type = word(ServiceType, required=True)


class ComponentOut(AnswerSchema):
    """A component as services.php gives it."""

    id = fields.String(required=True)
    service_id = fields.String(data_key="serviceId", required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    icon = fields.String(required=True)
    status = word(Status, required=True)
    type = word(ServiceType, required=True)
    project_name = fields.String(data_key="project", allow_none=True, required=True)
    endpoints = fields.List(fields.String(), required=True)
    dependencies = fields.List(fields.String(), required=True)
    config = UnfoldedConfiguration(data_key="configuration", required=True)
    created_at = Moment(data_key="createdAt", required=True)
    updated_at = Moment(data_key="updatedAt", required=True)


class ServiceOut(SubscriptionOut):
    """A service of either family, in full."""

    user_id = fields.String(data_key="ownerId", required=True)
    project_name = fields.String(data_key="project", allow_none=True, required=True)
    description = fields.String(required=True)
    icon = fields.String(required=True)
    template = fields.String(allow_none=True, required=True)
    endpoints = fields.List(fields.String(), required=True)
    dependencies = fields.List(fields.String(), required=True)
    tags = fields.List(fields.String(), required=True)
    config = Configuration(data_key="configuration", required=True)
    version = fields.Integer(required=True)
    cancelled_at = Moment(data_key="cancelledAt", allow_none=True, required=True)
    created_at = Moment(data_key="createdAt", required=True)
    updated_at = Moment(data_key="updatedAt", required=True)


class ServiceChange(WireSchema):
    """The fields of a service that its editors may set."""

    name = Name()
    description = fields.String(validate=_DESCRIPTION)
    icon = Name()
    status = word(Status)
    type = word(ServiceType)
    project = Name(allow_none=True)
    endpoints = Texts()
    dependencies = Texts()
    tags = Texts(metadata={"description": f"At most {MOST_TAGS}; kept in lower case."})
    configuration = Configuration()
    template = fields.String(allow_none=True, validate=Length(1, 64))
    billing_id = Name(data_key="billingId", allow_none=True)
    cluster_id = Name(data_key="clusterId", allow_none=True)
    start_date = Moment(data_key="startDate")
    next_billing_date = Moment(data_key="nextBilling", allow_none=True)


class ServiceCreation(ServiceChange):
    name = Name(required=True)
    type = word(ServiceType, required=True)
    owner_id = Name(data_key="ownerId")


class ServicesQuery(SearchQuery):
    status = Words(Status, load_default=())
    type = Words(ServiceType, load_default=())
    project = Name(load_default=None)
    sort = fields.String(
        load_default=None,
        validate=Length(max=255),
        metadata={"description": f"Some of {', '.join(SORT_NAMES)}, each with - to turn it."},
    )


class ServicesPageQuery(ServicesQuery):
    tag = fields.String(load_default=None, validate=Length(1, MOST_TAG_CHARACTERS))
    health = word(HealthStatus, load_default=None)
    count = fields.Boolean(
        load_default=False, metadata={"description": "Whether meta tells the total."}
    )


class SubscriptionsQuery(ServicesQuery):
    limit = limit(None, 500)

    class Meta:
        exclude = ("project",)


class Reason(WireSchema):
    reason = fields.String(load_default=None, allow_none=True, validate=Length(max=1000))


class ConfirmQuery(WireSchema):
    confirm = fields.String(load_default=None, validate=Length(max=255))


class ServiceTypeOut(AnswerSchema):
    type = word(ServiceType, required=True)
    family = fields.String(required=True)
    icon = fields.String(required=True)
    description = fields.String(required=True)
    statuses = fields.List(fields.String(), required=True)


class TemplateOut(AnswerSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    type = word(ServiceType, required=True)
    framework = fields.String(required=True)
    features = fields.List(fields.String(), required=True)
    structure = fields.Dict(keys=fields.String(), required=True)
    configuration = fields.Dict(keys=fields.String(), required=True)
