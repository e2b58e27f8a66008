"""What the letters about accounts say. Secrets are made here, when a letter is written."""

from collections.abc import Callable
from urllib.parse import quote

from cms_services.accounts.invitations import new_invitation_token
from cms_services.accounts.recovery import new_reset_token
from cms_services.mail.delivery import Text
from cms_services.mail.models import Letter


def _password_reset(letter: Letter, base: str) -> Text | None:
    token = new_reset_token(letter.recipient)
    if token is None:
        return None
    return Text(
        "Set a new password",
        f"Somebody, probably you, asked for a new password. Set it within an hour on\n\n"
        f"    {base}/password/reset?token={quote(token)}\n\n"
        "If it was not you, do nothing: your password stays as it is.\n",
    )


def _invitation(letter: Letter, base: str) -> Text | None:
    token = new_invitation_token(str(letter.data.get("invitation")))
    if token is None:
        return None
    return Text(
        "You are invited to CMS Services",
        f"An administrator invites you to make an account. Do so within seven days on\n\n"
        f"    {base}/register?invitation={quote(token)}&email={quote(letter.recipient)}\n",
    )


def _password_changed(letter: Letter, base: str) -> Text:
    return Text(
        "Your password was changed",
        "The password of your account was changed, and your sign-ins elsewhere were ended.\n\n"
        f"If it was not you, set a new one at once on\n\n    {base}/password/forgot\n",
    )


def _second_factor_changed(letter: Letter, base: str) -> Text:
    done = "switched on" if letter.data.get("enabled") else "switched off"
    return Text(
        f"Your second factor was {done}",
        f"The second factor of your account was {done}.\n\n"
        "If it was not you, tell your administrator.\n",
    )


def _recovery_code_used(letter: Letter, base: str) -> Text:
    return Text(
        "A recovery code was used",
        "Somebody signed in to your account with a recovery code.\n"
        f"{letter.data.get('left')} are left.\n\n"
        "If it was not you, set a new password at once on\n\n"
        f"    {base}/password/forgot\n",
    )


# By the kind of the letter. None where nobody is to get it any more.
WRITERS: dict[str, Callable[[Letter, str], Text | None]] = {
    "password-reset": _password_reset,
    "invitation": _invitation,
    "password-changed": _password_changed,
    "second-factor-changed": _second_factor_changed,
    "recovery-code-used": _recovery_code_used,
}
