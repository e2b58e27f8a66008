"""Marshmallow fields for configuration documents.

They judge values and never change them: a document is stored as it was given. Form bodies make
texts of numbers and switches, so those are taken for what they say.
"""

import ipaddress
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields
from marshmallow.validate import Length, OneOf, Regexp

from cms_services.durations import parse_duration
from cms_services.wording import either, worded

MEMORY = re.compile(r"([1-9]\d{0,5}) ?([MGT])(i?)B?", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"\d{1,10}", re.ASCII)
_VARIABLE_NAME = re.compile(r"[^=\x00]{1,255}")
_HINT_VARIABLE = worded('Takes a string, or {"value": "...", "secret": true}.')


class Text(fields.String):
    """A text of at most so many characters."""

    def __init__(self, longest: int = 2048, **kwargs: Any) -> None:
        super().__init__(validate=Length(max=longest), **kwargs)


class Version(fields.Field[Any]):
    """A version as people write it: 18.x, 8.2, or the number 8.2."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValidationError(worded("Takes a version, such as 18.x."))
        if isinstance(value, str) and len(value) > 255:
            raise ValidationError(worded("Takes at most 255 characters."))
        return value


class WholeNumber(fields.Field[Any]):
    """A whole number within bounds, or its digits as a text."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = low, high

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        number = int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value
        whole = isinstance(number, int) and not isinstance(number, bool)
        if not whole or not self.low <= number <= self.high:
            raise ValidationError(
                worded(
                    "Takes a whole number from %(low)s to %(high)s.", low=self.low, high=self.high
                )
            )
        return number


class Memory(fields.String):
    """An amount of memory, such as 512MB or 1GiB."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs) or ""
        if not MEMORY.fullmatch(text):
            raise ValidationError(worded("Takes a size in M, G or T, such as 512MB or 1GiB."))
        return text


class Duration(fields.String):
    """A duration within bounds, such as 30s or 5m. Deserialised as a timedelta."""

    def __init__(self, shortest: str, longest: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._bounds = shortest, longest

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs) or ""
        low, high = map(parse_duration, self._bounds)
        try:
            duration = parse_duration(text)
        except ValueError:
            duration = timedelta(-1)
        if not low <= duration <= high:
            hint = worded(
                "Takes a duration from %(shortest)s to %(longest)s, such as 30s or 5m.",
                shortest=self._bounds[0],
                longest=self._bounds[1],
            )
            raise ValidationError(hint)
        return duration


class HttpUrl(fields.String):
    """An absolute http or https URL; with `secure`, https alone."""

    def __init__(self, secure: bool = False, **kwargs: Any) -> None:
        super().__init__(validate=Length(max=2048), **kwargs)
        self._schemes = ("https",) if secure else ("http", "https")

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs) or ""
        try:
            parts = urlsplit(text)
            fits = parts.scheme in self._schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        if not fits:
            schemes = either(f"{each}://" for each in self._schemes)
            raise ValidationError(
                worded("Takes a URL that begins with %(schemes)s.", schemes=schemes)
            )
        return text


class Address(fields.String):
    """An IP address of one version."""

    def __init__(self, version: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._version, self._kind = version, f"IPv{version}"

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs) or ""
        try:
            found = ipaddress.ip_address(text).version
        except ValueError:
            found = None
        if found != self._version:
            raise ValidationError(worded("Takes an %(kind)s address.", kind=self._kind))
        return text


class Either(fields.Field[Any]):
    """A value that one field takes, or an object that a schema takes."""

    def __init__(self, plain: fields.Field[Any], schema: type[Schema], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plain = plain
        self.nested = fields.Nested(schema)

    def _bind_to_schema(self, field_name: str, parent: Any) -> None:
        super()._bind_to_schema(field_name, parent)
        self.nested._bind_to_schema(field_name, parent)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        field = self.nested if isinstance(value, dict) else self.plain
        return field.deserialize(value, *args, **kwargs)


class OneOrMore(fields.Field[Any]):
    """A value that one field takes, or a list of them."""

    def __init__(self, each: fields.Field[Any], most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.each = each
        self._several = fields.List(each, validate=Length(max=most))

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        field = self._several if isinstance(value, list) else self.each
        return field.deserialize(value, *args, **kwargs)


class Environment(fields.Field[Any]):
    """Variables by name, or one text: the name of a stage, as in the services brief."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            return value
        if not isinstance(value, dict):
            raise ValidationError(worded("Takes an object of variables."))
        problems = {
            name[:100]: [problem]
            for name, variable in value.items()
            if (problem := _problem_of_variable(name, variable))
        }
        if problems:
            raise ValidationError(problems)
        return value


class Anything(fields.Raw):
    """A value that somebody else judges."""


def words(*choices: str, **kwargs: Any) -> fields.String:
    return fields.String(validate=OneOf(choices), **kwargs)


def matching(pattern: str, hint: str, **kwargs: Any) -> fields.String:
    """A text of a form, which the hint describes."""
    return fields.String(validate=Regexp(rf"(?:{pattern})\Z", error=hint), **kwargs)


def _problem_of_variable(name: str, variable: Any) -> str | None:
    if not _VARIABLE_NAME.fullmatch(name):
        return worded("The name of a variable has 1 to 255 characters and no '='.")
    if isinstance(variable, list):
        return _HINT_VARIABLE
    if isinstance(variable, dict):
        fits = isinstance(variable.get("value"), str) and variable.keys() <= {"value", "secret"}
        return None if fits else _HINT_VARIABLE
    return None
