"""The wire form of everything, in and out: the only place that knows wire names."""

from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length, OneOf, Range, Regexp

from cms_services.catalogue.listing import SORT_NAMES
from cms_services.monitoring.durations import parse_timeframe
from cms_services.vocabulary import (
    HealthStatus,
    LogLevel,
    Permission,
    ProjectRole,
    Role,
    ServiceType,
    Status,
)
from cms_services.web.fields import (
    AnswerSchema,
    Configuration,
    Moment,
    Name,
    Number,
    Texts,
    WireSchema,
    Words,
)

_DESCRIPTION = Length(max=10_000)
_OMIT_NULL = {"omit_null": True}
_METRIC_NAME = Regexp(r"^[a-zA-Z_][a-zA-Z0-9_.]{0,99}\Z")
# Beyond this a sum of samples could leave the range of a double.
_LARGEST_SAMPLE = 1e18


def _word(words: Any, **kwargs: Any) -> fields.String:
    return fields.String(validate=OneOf([str(word) for word in words]), **kwargs)


def _limit(default: int | None, highest: int) -> fields.Integer:
    return fields.Integer(load_default=default, validate=Range(1, highest))


class _Timeframe(fields.String):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        try:
            parse_timeframe(text or "")
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return text


# --- paging ---


class PageQuery(WireSchema):
    limit = _limit(50, 500)
    cursor = fields.String(load_default=None, validate=Length(max=2000))


class SearchQuery(PageQuery):
    q = fields.String(load_default=None, validate=Length(max=255))


# --- services ---


class SubscriptionOut(AnswerSchema):
    """A subscription, in the fields and order of the dashboard's `Service` interface."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    service_id = fields.String(data_key="serviceId", required=True)
    billing_id = fields.String(data_key="billingId", allow_none=True, required=True)
    cluster_id = fields.String(data_key="clusterId", metadata=_OMIT_NULL)
    start_date = Moment(data_key="startDate", required=True)
    next_billing_date = Moment(data_key="nextBilling", allow_none=True, required=True)
    status = _word(Status, required=True)
    type = _word(ServiceType, required=True)


class ComponentOut(AnswerSchema):
    """A component as services.php gives it."""

    id = fields.String(required=True)
    service_id = fields.String(data_key="serviceId", required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    icon = fields.String(required=True)
    status = _word(Status, required=True)
    type = _word(ServiceType, required=True)
    project_name = fields.String(data_key="project", allow_none=True, required=True)
    endpoints = fields.List(fields.String(), required=True)
    dependencies = fields.List(fields.String(), required=True)
    config = Configuration(data_key="configuration", required=True)
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
    status = _word(Status)
    type = _word(ServiceType)
    project = Name(allow_none=True)
    endpoints = Texts()
    dependencies = Texts()
    configuration = Configuration()
    template = fields.String(allow_none=True, validate=Length(1, 64))
    billing_id = Name(data_key="billingId", allow_none=True)
    cluster_id = Name(data_key="clusterId", allow_none=True)
    start_date = Moment(data_key="startDate")
    next_billing_date = Moment(data_key="nextBilling", allow_none=True)


class ServiceCreation(ServiceChange):
    name = Name(required=True)
    type = _word(ServiceType, required=True)
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
    count = fields.Boolean(
        load_default=False, metadata={"description": "Whether meta tells the total."}
    )


class SubscriptionsQuery(ServicesQuery):
    limit = _limit(None, 500)

    class Meta:
        exclude = ("project",)


class Reason(WireSchema):
    reason = fields.String(load_default=None, allow_none=True, validate=Length(max=1000))


class ConfirmQuery(WireSchema):
    confirm = fields.String(load_default=None, validate=Length(max=255))


class KubernetesDownloadQuery(WireSchema):
    format = fields.String(load_default="zip", validate=OneOf(["zip", "yaml"]))


class ServiceTypeOut(AnswerSchema):
    type = _word(ServiceType, required=True)
    family = fields.String(required=True)
    icon = fields.String(required=True)
    description = fields.String(required=True)
    statuses = fields.List(fields.String(), required=True)


class TemplateOut(AnswerSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    type = _word(ServiceType, required=True)
    framework = fields.String(required=True)
    features = fields.List(fields.String(), required=True)
    structure = fields.Dict(keys=fields.String(), required=True)
    configuration = fields.Dict(keys=fields.String(), required=True)


class ConfigurationVersionOut(AnswerSchema):
    number = fields.Integer(required=True)
    author_id = fields.String(data_key="authorId", allow_none=True, required=True)
    created_at = Moment(data_key="createdAt", required=True)


class ConfigurationVersionDetail(ConfigurationVersionOut):
    document = Configuration(required=True)


# --- monitoring ---


class CheckOut(AnswerSchema):
    name = fields.String(required=True)
    type = fields.String(required=True)
    status = _word(HealthStatus, required=True)
    response_time_ms = fields.Float(data_key="responseTimeMs", allow_none=True, required=True)
    message = fields.String(required=True)
    checked_at = fields.String(
        data_key="checkedAt", required=True, metadata={"format": "date-time"}
    )


class HealthHistoryOut(AnswerSchema):
    checked_at = Moment(data_key="checkedAt", allow_none=True, required=True)
    status = _word(HealthStatus, required=True)
    response_time_ms = fields.Float(data_key="responseTimeMs", allow_none=True, required=True)
    checks = fields.List(fields.Nested(CheckOut), required=True)


class UptimeOut(AnswerSchema):
    day = fields.Float(data_key="24h", attribute="24h", allow_none=True, required=True)
    week = fields.Float(data_key="7d", attribute="7d", allow_none=True, required=True)
    month = fields.Float(data_key="30d", attribute="30d", allow_none=True, required=True)


class HealthOut(HealthHistoryOut):
    service_id = fields.String(data_key="serviceId", required=True)
    uptime = fields.Nested(UptimeOut, required=True)

    class Meta(AnswerSchema.Meta):
        fields = ("service_id", "status", "checked_at", "response_time_ms", "checks", "uptime")


class TimeframeQuery(WireSchema):
    timeframe = _Timeframe(load_default="24h")


class MetricsOut(AnswerSchema):
    service_id = fields.String(data_key="serviceId", required=True)
    timeframe = fields.String(required=True)
    start = Moment(data_key="from", required=True)
    end = Moment(data_key="to", required=True)
    step = fields.Integer(required=True, metadata={"description": "Seconds in a bucket."})
    series = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(),
        required=True,
        metadata={"description": "Name to [[time, value], ...]."},
    )
    summary = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.Float()),
        required=True,
    )


class UsageOut(AnswerSchema):
    service_id = fields.String(data_key="serviceId", required=True)
    timeframe = fields.String(required=True)
    start = Moment(data_key="from", required=True)
    end = Moment(data_key="to", required=True)
    requests = fields.Float(required=True)
    errors = fields.Float(required=True)
    error_rate = fields.Float(data_key="errorRate", allow_none=True, required=True)
    average_response_time = fields.Float(
        data_key="averageResponseTime", allow_none=True, required=True
    )
    log_entries = fields.Dict(
        data_key="logEntries", keys=fields.String(), values=fields.Integer(), required=True
    )


class SampleIn(WireSchema):
    name = fields.String(required=True, validate=_METRIC_NAME)
    value = fields.Float(required=True, validate=Range(-_LARGEST_SAMPLE, _LARGEST_SAMPLE))
    at = Moment(data_key="timestamp")
    labels = fields.Dict(
        keys=fields.String(validate=Length(1, 100)),
        values=fields.String(validate=Length(max=255)),
        validate=Length(max=20),
    )


class LogEntryIn(WireSchema):
    at = Moment(data_key="timestamp")
    level = _word(LogLevel, required=True)
    message = fields.String(required=True, validate=Length(1, 65_536))
    source = fields.String(validate=Length(max=255))
    attributes = fields.Dict(keys=fields.String())
    trace_id = fields.String(data_key="traceId", allow_none=True, validate=Length(max=64))
    client_id = fields.String(data_key="id", allow_none=True, validate=Length(1, 255))


class SamplesIn(WireSchema):
    samples = fields.List(fields.Raw(), required=True, validate=Length(max=10_000))


class LogEntriesIn(WireSchema):
    entries = fields.List(fields.Raw(), required=True, validate=Length(max=10_000))


class RejectedOut(AnswerSchema):
    index = fields.Integer(required=True)
    message = fields.String(required=True)


class IngestOut(AnswerSchema):
    accepted = fields.Integer(required=True)
    rejected = fields.List(fields.Nested(RejectedOut), required=True)


class LogsQuery(WireSchema):
    level = _word(LogLevel, load_default=None)
    since = Moment(load_default=None)
    until = Moment(load_default=None)
    q = fields.String(load_default=None, validate=Length(max=255))
    limit = _limit(100, 1000)
    cursor = fields.String(load_default=None, validate=Length(max=2000))


class LogEntryOut(AnswerSchema):
    id = Number(required=True)
    at = Moment(data_key="timestamp", required=True)
    level = _word(LogLevel, required=True)
    message = fields.String(required=True)
    source = fields.String(required=True)
    attributes = fields.Dict(keys=fields.String(), required=True)
    trace_id = fields.String(data_key="traceId", metadata=_OMIT_NULL)


# --- accounts ---


class LoginIn(WireSchema):
    email = fields.String(required=True, validate=Length(1, 255))
    password = fields.String(required=True, validate=Length(1, 1024))
    session = fields.Boolean(load_default=True)


class RegisterIn(WireSchema):
    email = fields.Email(required=True, validate=Length(max=255))
    name = Name(load_default=None, allow_none=True)
    password = fields.String(required=True, validate=Length(max=1024))


class RefreshIn(WireSchema):
    refresh_token = fields.String(data_key="refreshToken", required=True, validate=Length(1, 4096))


class LogoutIn(WireSchema):
    refresh_token = fields.String(
        data_key="refreshToken", load_default=None, allow_none=True, validate=Length(1, 4096)
    )


class TokenPairOut(AnswerSchema):
    access_token = fields.String(data_key="accessToken", required=True)
    refresh_token = fields.String(data_key="refreshToken", required=True)
    token_type = fields.Constant("Bearer", data_key="tokenType", required=True)
    expires_in = fields.Integer(data_key="expiresIn", required=True)


class SignedOutOut(AnswerSchema):
    signed_out = fields.Boolean(data_key="signedOut", required=True)


class UserOut(AnswerSchema):
    id = fields.String(required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    role = _word(Role, required=True)
    active = fields.Boolean(required=True)
    created_at = Moment(data_key="createdAt", required=True)
    updated_at = Moment(data_key="updatedAt", required=True)


class UserCreation(RegisterIn):
    role = _word(Role, load_default=Role.USER)


class UserChange(WireSchema):
    name = Name()
    role = _word(Role)
    active = fields.Boolean()
    password = fields.String(validate=Length(max=1024))


class TokenCreation(WireSchema):
    name = Name(required=True)
    scopes = fields.List(_word(Permission), required=True, validate=Length(1, 50))
    expires_at = Moment(data_key="expiresAt", load_default=None, allow_none=True)


class TokenOut(AnswerSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    expires_at = Moment(data_key="expiresAt", allow_none=True, required=True)
    created_at = Moment(data_key="createdAt", required=True)


class NewTokenOut(TokenOut):
    token = fields.String(required=True, metadata={"description": "Shown this once."})


class DeletedOut(AnswerSchema):
    id = fields.String(required=True)
    deleted = fields.Boolean(required=True)


# --- projects ---


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
    role = _word(ProjectRole, required=True)


class MemberOut(AnswerSchema):
    user_id = fields.String(data_key="userId", required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    role = _word(ProjectRole, required=True)


# --- audit and events ---


class AuditQuery(PageQuery):
    target_id = Name(data_key="targetId", load_default=None)
    actor_id = Name(data_key="actorId", load_default=None)
    action = Name(load_default=None)
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
    address = fields.String(allow_none=True, required=True)


class EventsQuery(PageQuery):
    subject = Name(load_default=None)
    event_type = Name(data_key="type", load_default=None)


class EventOut(AnswerSchema):
    sequence = Number(required=True)
    id = fields.String(required=True)
    at = Moment(data_key="time", required=True)
    type = fields.String(required=True)
    subject = fields.String(required=True)
    data = fields.Dict(keys=fields.String(), required=True)


# --- operation ---


class AliveOut(AnswerSchema):
    status = fields.String(required=True)


class ReadyOut(AnswerSchema):
    database = fields.String(required=True)
    redis = fields.String(required=True)
