"""The keys that sign tokens: the first signs, all verify, so that a new key signs nobody out."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from flask import current_app


@dataclass(frozen=True)
class SigningKey:
    """A key of 256 bits, and the name that its signatures carry (RFC 7515, section 4.1.4)."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def derived_from(cls, secret: str) -> "SigningKey":
        """A key of its own for tokens, so that no session cookie can be taken for one."""
        key = hashlib.sha256(b"cms-services tokens" + secret.encode()).hexdigest()
        return cls(hashlib.sha256(b"cms-services key id" + key.encode()).hexdigest()[:8], key)

    def authenticate(self, message: bytes) -> str:
        """The HMAC-SHA256 of a message, in hex."""
        return hmac.new(self.secret.encode(), message, "sha256").hexdigest()


class SigningKeys:
    """The present signing key and the earlier ones that still count."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self.all = tuple(SigningKey.derived_from(secret) for secret in secrets)
        self._by_id = {key.id: key for key in self.all}

    @property
    def present(self) -> SigningKey:
        return self.all[0]

    def find(self, key_id: object) -> SigningKey | None:
        """The key of this name, where it is known."""
        return self._by_id.get(key_id) if isinstance(key_id, str) else None


def current_signing_keys() -> SigningKeys:
    """The keys of the application whose context we are in."""
    return cast(SigningKeys, current_app.extensions["cms_services.signing_keys"])
