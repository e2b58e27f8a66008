"""Marshmallow fields for what only checks have: headers, statuses, conditions, limits of memory."""

import re
from typing import Any

import orjson
from marshmallow import ValidationError, fields

from cms_services.configuration.fields import MEMORY
from cms_services.configuration.json_paths import json_path
from cms_services.configuration.secrets import is_sealed, is_secret_form
from cms_services.wording import worded

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")
# What a message is framed by is ours to say.
_OUR_HEADERS = {"connection", "content-length", "transfer-encoding", "upgrade", "accept-encoding"}
_MOST_HEADERS = 50
_STATUS = re.compile(r"([1-5])(?:xx|(\d\d))(?:-([1-5]\d\d))?", re.ASCII | re.IGNORECASE)
_MOST_STATUSES = 20
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,2})?) ?%", re.ASCII)
_MEGABYTES = {
    ("M", False): 1.0,
    ("G", False): 1e3,
    ("T", False): 1e6,
    ("M", True): 2**20 / 1e6,
    ("G", True): 2**30 / 1e6,
    ("T", True): 2**40 / 1e6,
}


class Secret(fields.Field[Any]):
    """A text of at most so many characters, which may be a secret, sealed or opened."""

    def __init__(self, longest: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._longest = longest

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return _secret_text(value, self._longest)


class Body(Secret):
    """A text, or an object or a list that is sent as JSON."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, dict | list) and not is_sealed(value) and not is_secret_form(value):
            if len(orjson.dumps(value)) > self._longest:
                raise ValidationError(worded("Takes at most %(most)s bytes.", most=self._longest))
            return value
        return super()._deserialize(value, *args, **kwargs)


class Headers(fields.Field[Any]):
    """Header fields by name; their values may be secrets."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if value == []:
            return {}
        if not isinstance(value, dict) or len(value) > _MOST_HEADERS:
            raise ValidationError(
                worded(
                    "Takes an object of at most %(most)s header fields.",
                    most=_MOST_HEADERS,
                )
            )
        read, problems = {}, {}
        for name, given in value.items():
            try:
                read[name] = _header(name, given)
            except ValidationError as error:
                problems[str(name)[:100]] = error.messages
        if problems:
            raise ValidationError(problems)
        return read


class Statuses(fields.Field[Any]):
    """Numbers and ranges of HTTP statuses: 200, "2xx", "200-299". Read as pairs."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        given = value if isinstance(value, list) else [value]
        if not 1 <= len(given) <= _MOST_STATUSES:
            raise ValidationError(worded("Takes 1 to %(most)s statuses.", most=_MOST_STATUSES))
        problems: dict[int | str, Any] = {}
        read = []
        for number, each in enumerate(given):
            try:
                read.append(_statuses(each))
            except ValidationError as error:
                problems[number] = error.messages
        if problems:
            raise ValidationError(problems if isinstance(value, list) else problems[0])
        return read


class JsonCondition(fields.Field[Any]):
    """`{"path", "equals" | "contains" | "exists"}`, or the path alone: something is there."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        condition = {"path": value} if isinstance(value, str) else value
        if not isinstance(condition, dict) or not isinstance(condition.get("path"), str):
            raise ValidationError(
                worded('Takes an object such as {"path": "$.status", "equals": "ok"}.')
            )
        unknown = condition.keys() - {"path", "equals", "contains", "exists"}
        if unknown or len(condition) > 2:
            raise ValidationError(worded("Takes a path, and one of equals, contains and exists."))
        if not isinstance(condition.get("exists", True), bool):
            raise ValidationError({"exists": [worded("Takes true or false.")]})
        try:
            json_path(condition["path"])
        except ValueError as error:
            raise ValidationError({"path": [str(error)]}) from error
        return condition


class MemoryLimit(fields.Field[Any]):
    """A share of the service's memory limit, or an amount.

    Read as `{"share": 0.9}` or `{"megabytes": 512.0}`.
    """

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        share = _PERCENT.fullmatch(value) if isinstance(value, str) else None
        if share and 0 < float(share[1]) <= 100:
            return {"share": float(share[1]) / 100}
        amount = megabytes(value) if isinstance(value, str) else None
        if amount is None:
            raise ValidationError(
                worded("Takes a share such as 90%, or a size such as 512MB or 1GiB.")
            )
        return {"megabytes": amount}


def megabytes(text: str) -> float | None:
    """A size such as 512MB or 1GiB in megabytes (10^6 bytes); None for what is none."""
    size = MEMORY.fullmatch(text)
    if size is None:
        return None
    return int(size[1]) * _MEGABYTES[size[2].upper(), bool(size[3])]


def _secret_text(value: Any, longest: int) -> Any:
    if is_sealed(value):
        return value
    if is_secret_form(value):
        # An imported document holds it unsealed.
        value = value["value"]
    if not isinstance(value, str):
        raise ValidationError(worded("Takes a text."))
    if len(value) > longest:
        raise ValidationError(worded("Takes at most %(most)s characters.", most=longest))
    return value


def _header(name: Any, value: Any) -> Any:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise ValidationError(worded("Is no name of a header field."))
    if name.lower() in _OUR_HEADERS:
        raise ValidationError(worded("Is set by the check itself."))
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    text = _secret_text(value, 8192)
    if isinstance(text, str) and not _HEADER_VALUE.fullmatch(text):
        raise ValidationError(worded("Takes a text of one line."))
    return text


def _statuses(value: Any) -> list[int]:
    match = _STATUS.fullmatch(str(value)) if not isinstance(value, bool) else None
    if match is not None:
        hundred = int(match[1]) * 100
        if match[2] is None and match[3] is None:
            return [hundred, hundred + 99]
        if match[2] is not None:
            first = hundred + int(match[2])
            last = int(match[3] or first)
            if first <= last:
                return [first, last]
    raise ValidationError(
        worded('Takes a status such as 200, or a range such as "2xx" or "200-299".')
    )
