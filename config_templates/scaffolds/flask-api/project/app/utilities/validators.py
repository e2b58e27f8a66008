"""Checks of what callers send. A check returns the value as it is used, or raises ValueError."""

import re
from collections.abc import Callable
from typing import Any

from flask import request

from app.errors import ApiError

Check = Callable[[Any], Any]
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}"
)
_LEAST_PASSWORD, _LONGEST_PASSWORD = 12, 200


def checked_body(checks: dict[str, Check], partly: bool = False) -> dict[str, Any]:
    """The JSON object of the request, with each field checked.

    With `partly` fields may be left out. Raises ApiError, which names every field that is wrong.
    """
    body = request.get_json()
    if not isinstance(body, dict):
        raise ApiError(422, "VALIDATION_FAILED", "The body takes a JSON object.")
    given, wrong = {}, {name: "Is no field here." for name in body if name not in checks}
    for name, check in checks.items():
        if name not in body:
            if not partly:
                wrong[name] = "Is missing."
            continue
        try:
            given[name] = check(body[name])
        except ValueError as error:
            wrong[name] = str(error)
    if wrong:
        raise ApiError(422, "VALIDATION_FAILED", "Some fields can't be used.", wrong)
    return given


def text(longest: int) -> Check:
    """One line of printable text, without spaces around it."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not 0 < len(value.strip()) <= longest:
            raise ValueError(f"Takes a text of 1 to {longest} characters.")
        if not value.isprintable():
            raise ValueError("Holds a character that can't be printed.")
        return value.strip()

    return check


def email_address(value: Any) -> str:
    """An address, in lower case so that one mailbox has one account."""
    if not isinstance(value, str) or len(value) > 254 or not _EMAIL.fullmatch(value):
        raise ValueError("Takes an email address.")
    return value.lower()


def new_password(value: Any) -> str:
    if not isinstance(value, str) or not _LEAST_PASSWORD <= len(value) <= _LONGEST_PASSWORD:
        raise ValueError(f"Takes {_LEAST_PASSWORD} to {_LONGEST_PASSWORD} characters.")
    return any_password(value)


def any_password(value: Any) -> str:
    """A password that somebody signs in with, whatever the rules were when it was chosen."""
    if not isinstance(value, str) or len(value) > _LONGEST_PASSWORD:
        raise ValueError("Takes a password.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("Holds a character that has no form in UTF-8.") from None
    return value


def any_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("Takes a text.")
    return value


def json_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("Takes an object.")
    return value


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Takes true or false.")
    return value


def one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"Takes {' or '.join(words)}.")
        return str(value)

    return check
