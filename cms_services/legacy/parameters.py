"""What each services.php action takes, as PHP's forms and arrays carry it."""

from typing import Any

import orjson
from marshmallow import EXCLUDE, ValidationError, fields
from marshmallow.validate import Length, OneOf, Range

from cms_services.vocabulary import TYPES_OF_FAMILY, Family, ServiceType
from cms_services.web.bodies import refuse_unstorable
from cms_services.web.fields import Configuration, Name, Texts, WireSchema
from cms_services.web.schemas import services as services_schemas
from cms_services.web.schemas.logs import LogsQuery
from cms_services.web.schemas.metrics import TimeframeQuery

_COMPONENT_TYPES = [str(each) for each in TYPES_OF_FAMILY[Family.COMPONENT]]


class PhpIdentifier(fields.String):
    """An identifier; where JSON carries it as a number, as old code does, its digits are it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=Length(1, 255), **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return super()._deserialize(value, *args, **kwargs)


class PhpObject(Configuration):
    """An object; PHP's empty array, an empty text and JSON in a text count as one too."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            value = _from_text(value, {}, str(self.data_key or self.name))
        if isinstance(value, list):
            # PHP has one kind of array: a list is an object with the keys 0, 1, 2...
            value = {str(index): item for index, item in enumerate(value)}
        return super()._deserialize(value, *args, **kwargs)  # type: ignore[no-untyped-call]


class PhpList(Texts):
    """A list of texts; a lone text, JSON in a text and an array with gaps count as one too."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            value = _from_text(value, [], str(self.data_key or self.name))
        if isinstance(value, dict):
            value = list(value.values())
        elif not isinstance(value, list):
            value = [value]
        return super()._deserialize(value, *args, **kwargs)


def _from_text(text: str, empty: Any, name: str) -> Any:
    """Raises what refuse_unstorable() does, as for JSON that stands in the body itself."""
    stripped = text.strip()
    if not stripped:
        return empty
    if stripped[0] in "[{":
        try:
            parsed = orjson.loads(stripped)
        except orjson.JSONDecodeError as error:
            raise ValidationError("Not valid JSON.") from error
        refuse_unstorable(parsed, (name,))
        return parsed
    return text


class PhpSchema(WireSchema):
    class Meta:
        unknown = EXCLUDE


class ServiceParameters(PhpSchema):
    service_id = PhpIdentifier(data_key="serviceId", required=True)


class ListParameters(services_schemas.ServicesQuery):
    limit = fields.Integer(load_default=None, validate=Range(1, 10_000))
    offset = fields.Integer(load_default=0, validate=Range(0, 10_000_000))

    class Meta:
        unknown = EXCLUDE
        exclude = ("cursor", "sort")


class _ComponentFields(services_schemas.ServiceChange):
    type = fields.String(validate=OneOf(_COMPONENT_TYPES))
    endpoints = PhpList()
    dependencies = PhpList()
    configuration = PhpObject()

    class Meta:
        unknown = EXCLUDE
        exclude = ("billing_id", "cluster_id", "start_date", "next_billing_date", "tags")


class CreateParameters(_ComponentFields):
    name = Name(required=True)
    type = fields.String(required=True, validate=OneOf(_COMPONENT_TYPES))
    project = Name(required=True)


class UpdateParameters(_ComponentFields):
    service_id = PhpIdentifier(data_key="serviceId", required=True)
    # A service of any type may be updated; what it may become is the domain's to say.
    type = fields.String(validate=OneOf([str(each) for each in ServiceType]))


class ReasonParameters(ServiceParameters, services_schemas.Reason):
    class Meta:
        unknown = EXCLUDE


class ConfigParameters(ServiceParameters):
    configuration = PhpObject(required=True)


class LogsParameters(LogsQuery, ServiceParameters):
    class Meta:
        unknown = EXCLUDE


class MetricsParameters(TimeframeQuery, ServiceParameters):
    class Meta:
        unknown = EXCLUDE


class NoParameters(PhpSchema):
    pass
