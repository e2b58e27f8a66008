"""Secrets at rest: AES-256-GCM, bound to the place where they are stored.

A sealed value reads `v1:<key id>:<base64 of nonce and ciphertext>`. The context (owner row and
field) is authenticated with it, so a value copied into another row does not open.
"""

import base64
import hashlib
import secrets
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import current_app

from cms_services.errors import ServiceConfigError

_FORMAT = "v1"
_NONCE_BYTES = 12


class Vault:
    """Seals and opens secrets with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key_id = hashlib.sha256(b"cms-services key id" + key).hexdigest()[:8]

    def seal(self, secret: str, context: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        ciphertext = self._cipher.encrypt(nonce, secret.encode(), context.encode())
        return f"{_FORMAT}:{self._key_id}:{base64.b64encode(nonce + ciphertext).decode()}"

    def open(self, sealed: str, context: str) -> str:
        """Raises ServiceConfigError where it was sealed with another key or for another place."""
        version, _, rest = sealed.partition(":")
        key_id, _, payload = rest.partition(":")
        if version != _FORMAT or key_id != self._key_id:
            raise ServiceConfigError(
                f"A stored secret was sealed with key {key_id}, which is not configured. "
                "Set ENCRYPTION_KEY to the key of this installation."
            )
        try:
            data = base64.b64decode(payload, validate=True)
            opened = self._cipher.decrypt(
                data[:_NONCE_BYTES], data[_NONCE_BYTES:], context.encode()
            )
        except (InvalidTag, ValueError) as error:
            raise ServiceConfigError("A stored secret is damaged or was moved.") from error
        return opened.decode()


def current_vault() -> Vault:
    """The vault of the application whose context we are in."""
    return cast(Vault, current_app.extensions["cms_services.vault"])
