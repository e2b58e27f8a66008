"""Saying in the language of a page what was worded in English."""

from typing import Any

from flask_babel import get_locale, gettext

from cms_services.wording import Worded

# The language in which a script of a page wants the message of a refusal by the API, which is in
# English for everybody else, whatever they accept.
MESSAGE_LANGUAGE = "X-Message-Language"


def translated(value: Any) -> Any:
    """A worded text in the language of the request, and anything else as it is."""
    if not isinstance(value, Worded):
        return value
    locale = get_locale()
    if locale is None or locale.language == "en":
        return value
    message = gettext(value.message)
    if value.values:
        message %= {name: translated(each) for name, each in value.values.items()}
    return message.rstrip(".") if value.is_clause else message
