"""What libraries say of input, worded so that pages can say it in their language."""

import re
from functools import lru_cache

from cms_services.wording import Worded, reworded


def N_(message: str) -> str:
    """A message of a library, for `make messages` to find."""
    return message


_MESSAGES = (
    # marshmallow's fields and schemas
    N_("Missing data for required field."),
    N_("Field may not be null."),
    N_("Invalid value."),
    N_("Invalid type."),
    N_("Invalid input type."),
    N_("Unknown field."),
    N_("Not a valid list."),
    N_("Not a valid string."),
    N_("Not a valid utf-8 string."),
    N_("Not a valid number."),
    N_("Number too large."),
    N_("Not a valid integer."),
    N_("Special numeric values (nan or infinity) are not permitted."),
    N_("Not a valid boolean."),
    N_("Not a valid date."),
    N_("Not a valid datetime."),
    N_("Not a valid aware datetime."),
    N_("Not a valid mapping type."),
    N_("Not a valid email address."),
    # and its validators
    N_("Must be greater than or equal to %(least)s and less than or equal to %(most)s."),
    N_("Must be greater than or equal to %(least)s."),
    N_("Must be less than or equal to %(most)s."),
    N_("Length must be between %(least)s and %(most)s."),
    N_("Shorter than minimum length %(least)s."),
    N_("Longer than maximum length %(most)s."),
    N_("String does not match expected pattern."),
    N_("Must be one of: %(choices)s."),
    # Werkzeug
    N_("The browser (or proxy) sent a request that this server could not understand."),
    # email-validator
    N_("An email address must have an @-sign."),
    N_("There must be something before the @-sign."),
    N_("There must be something after the @-sign."),
    N_("The part after the @-sign is not valid. It should have a period."),
    N_("An email address cannot have two periods in a row."),
    N_("An email address cannot start with a period."),
    N_("An email address cannot end with a period."),
    N_("An email address cannot have a period immediately after the @-sign."),
    N_("An email address cannot have a period immediately before the @-sign."),
    N_("The email address contains invalid characters before the @-sign: %(characters)s."),
    N_("The part after the @-sign contains invalid characters: %(characters)s."),
    N_(
        "The part after the @-sign is a special-use or reserved name that cannot be used with "
        "email."
    ),
)
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def said_by_library(text: str, *, otherwise: str | None = None) -> str:
    """A text with its wording, where it is one that we know.

    Where it is not, pages say the message `otherwise`, or the text as it is without one.
    """
    if isinstance(text, Worded):
        return text
    known = _known(text)
    if known is not None:
        return known
    return text if otherwise is None else reworded(text, otherwise)


# A batch of many refused entries says the same of each.
@lru_cache(maxsize=256)
def _known(text: str) -> str | None:
    for message, pattern in _PATTERNS:
        if found := pattern.fullmatch(text):
            return reworded(text, message, **found.groupdict())
    return None


def _pattern_of(message: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(message)
    return re.compile(
        "".join(
            f"(?P<{part}>.+)" if number % 2 else re.escape(part)
            for number, part in enumerate(parts)
        ),
        re.DOTALL,
    )


_PATTERNS = tuple((message, _pattern_of(message)) for message in _MESSAGES)
