"""/api/invitations: whom admins invited to make an account."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint

from cms_services.accounts.invitations import invite, list_invitations, revoke_invitation
from cms_services.accounts.models import Invitation
from cms_services.actor import Actor
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission, Role
from cms_services.web.operations import operation
from cms_services.web.schemas import accounts as schemas
from cms_services.web.schemas.deletion import DeletedOut

invitations = Blueprint("invitations", __name__, url_prefix="/api/invitations")


@invitations.get("")
@operation(
    "Invitations that can still be accepted, newest first",
    Permission.USERS_MANAGE,
    answer=schemas.InvitationOut,
    many=True,
)
def index(actor: Actor) -> Sequence[Invitation]:
    return list_invitations()


@invitations.post("")
@operation(
    "Invite somebody by a letter; an earlier invitation of the same address ends",
    Permission.USERS_MANAGE,
    transaction="write",
    body=schemas.InvitationCreation,
    answer=schemas.InvitationOut,
    status=201,
    creates=True,
)
def create(actor: Actor, body: dict[str, Any]) -> Invitation:
    return invite(actor, current_settings().registration, body["email"], Role(body["role"]))


@invitations.delete("/<invitation_id>")
@operation(
    "Take an invitation back",
    Permission.USERS_MANAGE,
    transaction="write",
    answer=DeletedOut,
)
def delete(actor: Actor, invitation_id: str) -> dict[str, Any]:
    revoke_invitation(actor, invitation_id)
    return {"id": invitation_id, "deleted": True}
