"""Marshmallow fields for what the wire has that the library lacks."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, post_dump
from marshmallow.validate import Length, OneOf, Range, Regexp

from cms_services.configuration.secrets import masked
from cms_services.configuration.shape import unfolded
from cms_services.wording import worded

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 30, tzinfo=UTC)
_NOT_BLANK = Regexp(r"[\s\S]*\S", error=worded("Must not be blank."))


class WireSchema(Schema):
    """Base of all schemas: leaves out the null of fields marked with `optional_on_wire()`."""

    @post_dump
    def _leave_out_nulls(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        for name, field in self.fields.items():
            key = field.data_key or name
            if omits_null(field) and data.get(key, "") is None:
                del data[key]
        return data


class AnswerSchema(WireSchema):
    """Base of what we answer. More fields may come, so the document does not rule them out."""

    class Meta:
        unknown = INCLUDE


def omits_null(field: fields.Field[Any]) -> bool:
    return bool(field.metadata.get("omit_null"))


class Moment(fields.AwareDateTime):
    """An ISO 8601 time with its zone, of the years 1970 to 9999. Dumped by the JSON encoder."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> datetime:
        moment = super()._deserialize(value, *args, **kwargs)
        try:
            moment = moment.astimezone(UTC)
        except OverflowError as error:
            raise self.make_error("invalid", input=value, obj_type="datetime") from error
        if not _EARLIEST <= moment <= _LATEST:
            raise ValidationError(worded("Takes a time from 1970 to 9999."))
        return moment

    def _serialize(self, value: Any, attr: Any, obj: Any, **_: Any) -> Any:
        return value


class Name(fields.String):
    """A text of 1 to 255 characters that is not blank."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=[Length(1, 255), _NOT_BLANK], **kwargs)


class Words(fields.String):
    """Some of a set of words, separated by commas."""

    def __init__(self, words: Any, **kwargs: Any) -> None:
        self._words = [str(word) for word in words]
        super().__init__(
            metadata={"description": f"Some of {', '.join(self._words)}, separated by commas."},
            **kwargs,
        )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs) or ""
        given = [part.strip() for part in text.split(",") if part.strip()]
        OneOfEach(self._words)(given)
        return given


class OneOfEach(OneOf):
    """Validates a list whose items are all among the choices."""

    def __call__(self, value: Any) -> Any:
        for item in value:
            super().__call__(item)
        return value


class Texts(fields.List[str]):
    """A list of at most 200 texts of at most 255 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.String(validate=Length(1, 255)), validate=Length(max=200), **kwargs)


class Configuration(fields.Dict):
    """A configuration document. Its secrets are masked on the way out, always."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(keys=fields.String(), **kwargs)

    @staticmethod
    def to_wire(value: Any) -> Any:
        return masked(value or {})

    def _serialize(self, value: Any, attr: Any, obj: Any, **_: Any) -> Any:
        return self.to_wire(value)


class UnfoldedConfiguration(Configuration):
    """A configuration document for an old frontend: what it added stands where it put it."""

    @staticmethod
    def to_wire(value: Any) -> Any:
        return unfolded(masked(value or {}))


class Number(fields.String):
    """A row number that callers see as an opaque text."""

    @staticmethod
    def to_wire(value: Any) -> str:
        return str(value)

    def _serialize(self, value: Any, attr: Any, obj: Any, **_: Any) -> Any:
        return self.to_wire(value)


def word(words: Any, **kwargs: Any) -> fields.String:
    """One of some words."""
    return fields.String(validate=OneOf([str(each) for each in words]), **kwargs)


def limit(default: int | None, highest: int) -> fields.Integer:
    """How many rows a page has."""
    return fields.Integer(load_default=default, validate=Range(1, highest))
