"""Inviting people to make an account, by a token that is e-mailed."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from cms_services.accounts.addresses import checked_email
from cms_services.accounts.models import Invitation, User
from cms_services.accounts.random_tokens import hash_of_token, new_token
from cms_services.accounts.users import create_user, require_free_address
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.clock import now
from cms_services.errors import Conflict, NotFound, ValidationFailed
from cms_services.extensions import db
from cms_services.mail.outbox import post
from cms_services.pruning import prune_before
from cms_services.vocabulary import EventType, Role
from cms_services.wording import worded

INVITATION_LIFETIME = timedelta(days=7)


def invite(actor: Actor, registration: str, email: str, role: Role) -> Invitation:
    """Invite somebody; an earlier invitation of the same address ends.

    `registration` is the setting. Raises ValidationFailed for a bad address, Conflict where it has
    an account or where nobody could accept.
    """
    if registration == "closed":
        raise Conflict(
            worded("REGISTRATION is closed, so that nobody could accept; set it to invite.")
        )
    email = checked_email(email)
    require_free_address(email)
    earlier = db.session.scalar(select(Invitation).where(Invitation.email == email))
    if earlier is not None:
        db.session.delete(earlier)
        db.session.flush()
    invitation = Invitation(email=email, role=role, expires_at=now() + INVITATION_LIFETIME)
    db.session.add(invitation)
    db.session.flush()
    record(
        actor,
        EventType.USER_INVITED,
        "invitation",
        invitation.id,
        actor.user_id,
        {"after": {"email": email, "role": role}},
    )
    post("invitation", email, {"invitation": invitation.id})
    return invitation


def list_invitations() -> Sequence[Invitation]:
    """Invitations that can still be accepted, the newest first."""
    query = select(Invitation).where(Invitation.expires_at > now())
    return db.session.scalars(query.order_by(Invitation.created_at.desc())).all()


def revoke_invitation(actor: Actor, invitation_id: str) -> None:
    """Raises NotFound."""
    invitation = db.session.get(Invitation, invitation_id)
    if invitation is None:
        raise NotFound(worded("There is no such invitation."))
    record(
        actor,
        EventType.USER_INVITATION_REVOKED,
        "invitation",
        invitation.id,
        actor.user_id,
        {"before": {"email": invitation.email}},
    )
    db.session.delete(invitation)


def new_invitation_token(invitation_id: str) -> str | None:
    """The token of an invitation, for its letter; None where the invitation is gone."""
    invitation = db.session.get(Invitation, invitation_id, with_for_update=True)
    if invitation is None or invitation.expires_at <= now():
        return None
    token = new_token()
    invitation.token_hash = hash_of_token(token)
    db.session.flush()
    return token


def accept_invitation(
    actor: Actor, token: str, email: str, name: str | None, password: str
) -> User:
    """Make the account that an invitation is for, which is spent by that.

    Raises ValidationFailed for a token that is wrong, spent, expired or another address's.
    """
    query = select(Invitation).where(Invitation.token_hash == hash_of_token(token))
    invitation = db.session.scalar(query.with_for_update())
    if invitation is None or invitation.expires_at <= now():
        raise ValidationFailed(
            {"invitation": [worded("This invitation was used or has expired; ask for a new one.")]}
        )
    if invitation.email != checked_email(email):
        raise ValidationFailed({"email": [worded("This invitation is for another address.")]})
    role = Role(invitation.role)
    db.session.delete(invitation)
    return create_user(actor, email, name, password, role)


def prune_invitations() -> int:
    """Forget invitations that have expired. Returns how many."""
    return prune_before(Invitation, Invitation.expires_at, now())
