"""Who may do what: the answer to each kind of caller, worked out from what a door declares.

Nothing is enforced here. Actor.require() asks for the permission and the functions that load an
object ask for the relation; docs/permissions.md is made of this, and tests/permissions call every
route as every caller to hold the three together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeVar

from cms_services.actor import ANONYMOUS, Actor
from cms_services.vocabulary import Permission, Relation, Role
from cms_services.web.operations import PUBLIC, needed_relation


class Declared(Protocol):
    """What operations, actions of services.php and pages have in common."""

    @property
    def permission(self) -> Permission | Literal["public"]: ...

    @property
    def needs(self) -> Relation: ...


@dataclass(frozen=True)
class Page:
    """The declaration of one page."""

    permission: Permission | Literal["public"]
    needs: Relation


View = TypeVar("View", bound=Callable[..., Any])


def page_for(
    permission: Permission | Literal["public"], needs: Relation | None = None
) -> Callable[[View], View]:
    """Declare what a page needs, which the page itself asks for.

    Raises TypeError without `needs`, unless the permission tells it.
    """
    declared = Page(permission, needed_relation(permission, needs))

    def decorate(view: View) -> View:
        view.page = declared  # type: ignore[attr-defined]
        return view

    return decorate


class Caller(StrEnum):
    """A kind of caller, by what it is to the thing that it asks for."""

    ANONYMOUS = "anonymous"
    GUEST = "guest"
    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"
    OTHER_USER = "other user"
    ADMIN = "admin"
    INGEST_TOKEN = "ingest token"  # noqa: S105 - a kind of caller


class Outcome(StrEnum):
    """What a caller is answered, as docs/permissions.md shows it."""

    ALLOWED = "✓"
    # Allowed for what is the caller's own, and in lists for what is shared with it; else 403.
    OWN = "own"
    UNAUTHENTICATED = "401"
    FORBIDDEN = "403"
    # A page leads a stranger to the form.
    SIGN_IN = "sign in"


_USERS = (Caller.VIEWER, Caller.EDITOR, Caller.OWNER, Caller.OTHER_USER)
_SIGNED_IN = (Caller.GUEST, *_USERS, Caller.ADMIN)
_OWNERS = dict.fromkeys((Caller.OWNER, Caller.ADMIN), Outcome.ALLOWED)
_EDITORS = _OWNERS | {Caller.EDITOR: Outcome.ALLOWED}
_VIEWERS = _EDITORS | {Caller.VIEWER: Outcome.ALLOWED}

# Who has the relation, or has it for its own things; all others have not.
_OUTCOMES: dict[Relation, dict[Caller, Outcome]] = {
    Relation.NONE: dict.fromkeys((Caller.ANONYMOUS, *_SIGNED_IN), Outcome.ALLOWED),
    Relation.OWN: dict.fromkeys(_SIGNED_IN, Outcome.OWN),
    Relation.READABLE: dict.fromkeys(_USERS, Outcome.OWN) | {Caller.ADMIN: Outcome.ALLOWED},
    Relation.VIEWER: _VIEWERS,
    Relation.EDITOR: _EDITORS,
    Relation.NEW_IN_PROJECT: dict.fromkeys(_USERS, Outcome.OWN) | _EDITORS,
    Relation.OWNER: _OWNERS,
    Relation.OWNER_OR_ITSELF: dict.fromkeys((Caller.VIEWER, Caller.EDITOR), Outcome.OWN) | _OWNERS,
    Relation.ITSELF: {},
    Relation.ADMIN: {Caller.ADMIN: Outcome.ALLOWED},
}


def answer_for(caller: Caller, declared: Declared, scope: Permission | None = None) -> Outcome:
    """What a kind of caller is answered; with a `scope`, by a personal token of that one alone."""
    if declared.permission == PUBLIC:
        return Outcome.ALLOWED
    if not _actor(caller, scope).may(declared.permission):
        anonymous = caller is Caller.ANONYMOUS
        return Outcome.UNAUTHENTICATED if anonymous else Outcome.FORBIDDEN
    if caller is Caller.INGEST_TOKEN:
        # Its permissions are about a service, and it has but the one.
        return Outcome.OWN
    return _OUTCOMES[declared.needs].get(caller, Outcome.FORBIDDEN)


def _actor(caller: Caller, scope: Permission | None) -> Actor:
    """Somebody of this kind, as far as the permission goes."""
    if caller is Caller.ANONYMOUS:
        return ANONYMOUS
    if caller is Caller.INGEST_TOKEN:
        return Actor(user_id=None, role=Role.GUEST, service_id="its own")
    roles = {Caller.GUEST: Role.GUEST, Caller.ADMIN: Role.ADMIN}
    scopes = None if scope is None else frozenset({scope})
    return Actor(user_id="somebody", role=roles.get(caller, Role.USER), scopes=scopes)
