"""Secrets at rest: AES-256-GCM, bound to the place where they are stored.

A sealed value reads `v1:<key id>:<base64 of nonce and ciphertext>`. The context (owner row and
field) is authenticated with it, so a value copied into another row does not open.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app

from cms_services.errors import ServiceConfigError
from cms_services.wording import worded

# What every sealed value begins with, so that stored texts can be searched for it.
SEALED_PREFIX = "v1:"
_SEALED = re.compile(rf"{SEALED_PREFIX}([0-9a-f]{{8}}):([A-Za-z0-9+/]+={{0,2}})")
_NONCE_BYTES = 12
_KEY_BYTES = 32


class Vault:
    """Seals secrets with the first of its keys, and opens what any of them sealed.

    `newest` gives the keys as they are kept now, or None where they can't be read; without it the
    keys never change. It is asked before sealing, and before a key counts as unknown.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        newest: Callable[[], Sequence[bytes] | None] | None = None,
    ) -> None:
        self._ring = _Ring(tuple(keys))
        self._newest = newest

    @property
    def key_id(self) -> str:
        """The id of the key that seals now."""
        return self._present().sealing

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys that open, the one that seals first."""
        return tuple(self._present().keys)

    def seal(self, secret: str, context: str) -> str:
        return _sealed(self._present(), secret, context, secrets.token_bytes(_NONCE_BYTES))

    def open(self, sealed: str, context: str) -> str:
        """Raises ServiceConfigError where its key is gone, or it was sealed for another place."""
        match = _SEALED.fullmatch(sealed)
        if match is None:
            raise _damaged()
        key_id, payload = match.groups()
        cipher = AESGCM(self._key(key_id))
        try:
            data = base64.b64decode(payload, validate=True)
            # Some texts differ only in bits that decoding ignores; one of them is the right one.
            if base64.b64encode(data).decode() != payload:
                raise _damaged()
            opened = cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise _damaged() from error
        return opened.decode()

    def needs_resealing(self, sealed: str) -> bool:
        """Whether a sealed value was sealed by another key than the one that seals now."""
        return key_id_of(sealed) not in (None, self.key_id)

    def reseal(self, sealed: str, context: str) -> str:
        """The same secret, sealed by the key that seals now. Raises ServiceConfigError.

        Equal values stay equal, as those of a configuration and of its newest version are, whoever
        seals them anew: the nonce follows from the sealed value, so it is another for each.
        """
        secret = self.open(sealed, context)
        ring = self._present()
        nonce_key = _derived(ring.keys[ring.sealing], "nonces of values sealed anew")
        nonce = hmac.digest(nonce_key, sealed.encode(), "sha256")[:_NONCE_BYTES]
        return _sealed(ring, secret, context, nonce)

    def derive(self, label: str, key_id: str | None = None) -> bytes:
        """A key of 32 bytes for another purpose, by HKDF-SHA256 from the named key.

        Default: from the key that seals. Raises ServiceConfigError where it is not configured.
        """
        return _derived(self._key(self.key_id if key_id is None else key_id), label)

    def _key(self, key_id: str) -> bytes:
        """Raises ServiceConfigError where no such key is configured."""
        key = self._ring.keys.get(key_id) or self._present().keys.get(key_id)
        if key is None:
            raise ServiceConfigError(
                worded(
                    "Something stored here needs the encryption key %(key_id)s, which is not "
                    "configured. Put that key back, or store the secret anew; see docs/keys.md.",
                    key_id=key_id,
                )
            )
        return key

    def _present(self) -> "_Ring":
        """The keys as they are kept now: another process may have put a new one first."""
        newest = None if self._newest is None else self._newest()
        # While they can't be read, a running process goes on with those that it knows.
        if newest is not None and tuple(newest) != self._ring.source:
            self._ring = _Ring(tuple(newest))
        return self._ring


class _Ring:
    """Keys by their ids; the first seals."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self.source = keys
        self.keys = {_key_id(key): key for key in keys}
        self.sealing = _key_id(keys[0])


def key_id_of(sealed: str) -> str | None:
    """The id of the key that sealed a value; None for a text that is no sealed value."""
    match = _SEALED.fullmatch(sealed)
    return match[1] if match else None


def current_vault() -> Vault:
    """The vault of the application whose context we are in."""
    return cast(Vault, current_app.extensions["cms_services.vault"])


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"cms-services key id" + key).hexdigest()[:8]


def _sealed(ring: _Ring, secret: str, context: str, nonce: bytes) -> str:
    cipher = AESGCM(ring.keys[ring.sealing])
    payload = base64.b64encode(nonce + cipher.encrypt(nonce, secret.encode(), context.encode()))
    return f"{SEALED_PREFIX}{ring.sealing}:{payload.decode()}"


def _derived(key: bytes, label: str) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=label.encode()).derive(key)


def _damaged() -> ServiceConfigError:
    return ServiceConfigError(
        worded("A stored secret is damaged, or was moved from another place. Store it anew.")
    )
