"""For how long a new token is good, to choose from: of an account and of a service alike."""

from datetime import timedelta

from flask_babel import gettext as _
from flask_babel import ngettext

from cms_services.clock import now
from cms_services.errors import ValidationFailed

NEVER = "never"
_DAYS = (7, 30, 90, 365)


def expiry_choices() -> list[tuple[str, str]]:
    """What a form offers, with its words."""
    days = [(str(each), ngettext("%(num)s day", "%(num)s days", each)) for each in _DAYS]
    return [*days, (NEVER, _("Until it is revoked"))]


def chosen_expiry(choice: str) -> str | None:
    """The moment that a choice means, as the API takes it; None for never.

    Raises ValidationFailed for what is no choice.
    """
    if choice == NEVER:
        return None
    if choice not in map(str, _DAYS):
        raise ValidationFailed({"expiresAt": [_("Choose one of these.")]})
    return (now() + timedelta(days=int(choice))).isoformat()
