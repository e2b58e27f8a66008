"""Who does something: the explicit first argument of every function that changes or reads data."""

from dataclasses import dataclass, replace

from cms_services.errors import Forbidden, Unauthenticated
from cms_services.vocabulary import (
    GRANT_OF_PERMISSION,
    GRANTS_OF_ROLE,
    INGEST_PERMISSIONS,
    OPEN_PERMISSIONS,
    SIGN_IN_PERMISSIONS,
    Permission,
    Role,
)
from cms_services.wording import worded

# What an account without the second factor that is asked of it may do: sign in and get one.
_TO_SET_UP = frozenset({Permission.ACCOUNT_READ, Permission.ACCOUNT_SECURE})


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller and the circumstances that its audit entries name.

    `scopes` narrows a token to some permissions; None means all that the role grants.
    `session_id` names the sign-in that the caller came by, where it was one. `service_id` is set
    for a service that calls with its own token, and has no account.
    """

    user_id: str | None
    role: Role
    name: str = ""
    email: str = ""
    scopes: frozenset[str] | None = None
    session_id: str | None = None
    service_id: str | None = None
    # Whether the caller came by a session of the PHP CMS.
    by_php_session: bool = False
    # Whether a second factor is asked of this account, which has none yet.
    lacks_second_factor: bool = False
    request_id: str | None = None
    address: str | None = None

    @property
    def is_signed_in(self) -> bool:
        return self.user_id is not None or self.service_id is not None

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    def may(self, permission: Permission) -> bool:
        """Whether the role and, for a token, its scopes allow this."""
        if self.service_id is not None:
            return permission in INGEST_PERMISSIONS
        if self.lacks_second_factor and permission not in _TO_SET_UP:
            return False
        grants = GRANTS_OF_ROLE[self.role]
        if "*" not in grants and GRANT_OF_PERMISSION[permission] not in grants:
            return False
        if self.role is Role.GUEST and not self.is_signed_in:
            return permission in OPEN_PERMISSIONS
        if self.scopes is None:
            return True
        return permission in self.scopes and permission not in SIGN_IN_PERMISSIONS

    def require(self, permission: Permission) -> None:
        """Unless allowed, raise Unauthenticated for an unknown caller, Forbidden for others."""
        if self.may(permission):
            return
        if not self.is_signed_in:
            raise Unauthenticated(worded("Sign in, or send an access token."))
        if self.lacks_second_factor:
            raise Forbidden(
                worded("Set up a second factor first, by POST /api/auth/second-factor.")
            )
        raise Forbidden(worded("This needs the permission %(permission)s.", permission=permission))

    @property
    def own_id(self) -> str:
        """The account's id. Raises Unauthenticated where there is none."""
        if self.service_id is not None:
            raise Forbidden(worded("A service's own token is for its logs and metrics alone."))
        if self.user_id is None:
            raise Unauthenticated(worded("Sign in, or send an access token."))
        return self.user_id

    def within(self, request_id: str | None, address: str | None) -> "Actor":
        """The same caller in the circumstances of one request."""
        # A proxy may tell anything, and the column for it is no longer.
        return replace(self, request_id=request_id, address=address and address[:64])


ANONYMOUS = Actor(user_id=None, role=Role.GUEST)

# Work that the application does by itself: migrations, retention, the first admin.
SYSTEM = Actor(user_id=None, role=Role.ADMIN, name="system")
