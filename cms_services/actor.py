"""Who does something: the explicit first argument of every function that changes or reads data."""

from dataclasses import dataclass, replace

from cms_services.errors import Forbidden, Unauthenticated
from cms_services.vocabulary import (
    GRANT_OF_PERMISSION,
    GRANTS_OF_ROLE,
    OPEN_PERMISSIONS,
    Permission,
    Role,
)


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller and the circumstances that its audit entries name.

    `scopes` narrows a token to some permissions; None means all that the role grants.
    """

    user_id: str | None
    role: Role
    name: str = ""
    email: str = ""
    scopes: frozenset[str] | None = None
    request_id: str | None = None
    address: str | None = None

    @property
    def is_signed_in(self) -> bool:
        return self.user_id is not None

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    def may(self, permission: Permission) -> bool:
        """Whether the role and, for a token, its scopes allow this."""
        grants = GRANTS_OF_ROLE[self.role]
        if "*" not in grants and GRANT_OF_PERMISSION[permission] not in grants:
            return False
        if self.role is Role.GUEST and not self.is_signed_in:
            return permission in OPEN_PERMISSIONS
        return self.scopes is None or permission in self.scopes

    def require(self, permission: Permission) -> None:
        """Unless allowed, raise Unauthenticated for an unknown caller, Forbidden for others."""
        if self.may(permission):
            return
        if not self.is_signed_in:
            raise Unauthenticated("Sign in, or send an access token.")
        raise Forbidden(f"This needs the permission {permission}.")

    @property
    def own_id(self) -> str:
        """The account's id. Raises Unauthenticated where there is none."""
        if self.user_id is None:
            raise Unauthenticated("Sign in, or send an access token.")
        return self.user_id

    def within(self, request_id: str | None, address: str | None) -> "Actor":
        """The same caller in the circumstances of one request."""
        return replace(self, request_id=request_id, address=address)


ANONYMOUS = Actor(user_id=None, role=Role.GUEST)

# Work that the application does by itself: migrations, retention, the first admin.
SYSTEM = Actor(user_id=None, role=Role.ADMIN, name="system")
