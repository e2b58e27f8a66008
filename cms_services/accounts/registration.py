"""Making one's own account, as far as the installation lets people do so."""

from cms_services.accounts.invitations import accept_invitation
from cms_services.accounts.models import User
from cms_services.accounts.users import create_user
from cms_services.actor import Actor
from cms_services.errors import Forbidden, ValidationFailed
from cms_services.vocabulary import Role
from cms_services.wording import worded


def register(
    actor: Actor, policy: str, email: str, name: str | None, password: str, invitation: str | None
) -> User:
    """Make an account, under the REGISTRATION policy `open`, `invite` or `closed`.

    Raises Forbidden where it is closed, ValidationFailed for a bad or missing invitation, a bad
    address or a weak password, Conflict for a known address.
    """
    if policy == "closed":
        raise Forbidden(worded("Registration is closed; ask an admin for an account."))
    if invitation is not None:
        return accept_invitation(actor, invitation, email, name, password)
    if policy == "invite":
        raise ValidationFailed({"invitation": [worded("Send the token of your invitation.")]})
    return create_user(actor, email, name, password, Role.USER)
