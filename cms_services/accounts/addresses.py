"""E-mail addresses: which are taken, and the one spelling that each is stored under."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

from cms_services.errors import ValidationFailed
from cms_services.library_messages import said_by_library
from cms_services.wording import worded

_NO_ADDRESS = worded("This is not a valid e-mail address.")
_MAXIMUM = 255
_LONGEST_TRIED = 1024


def normalised_email(email: str) -> str:
    """The one spelling under which an address is looked up; a text that is none finds nobody."""
    if len(email) > _LONGEST_TRIED:
        # Normalising takes a time that grows with the square of the length.
        return ""
    text = unicodedata.normalize("NFKC", email).strip()
    try:
        return _spelled(text)
    except EmailNotValidError:
        # Folding would make an address of some: of groß@example.com that of gross.
        return text.lower()


def checked_email(email: str) -> str:
    """The spelling under which a new account's address is stored. Raises ValidationFailed.

    The part before the @ is ASCII and an international domain is stored in its ASCII form
    (RFC 5891), so that no look-alike letter makes one address pass for another.
    """
    try:
        spelled = _spelled(email)
    except EmailNotValidError as error:
        raise ValidationFailed(
            {"email": [said_by_library(str(error), otherwise=_NO_ADDRESS)]}
        ) from error
    if len(spelled) > _MAXIMUM:
        raise ValidationFailed(
            {"email": [worded("Takes at most %(most)s characters.", most=_MAXIMUM)]}
        )
    return spelled


def _spelled(email: str) -> str:
    valid = validate_email(
        email, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False
    )
    return str(valid.ascii_email).casefold()
