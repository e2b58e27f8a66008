"""Password rules and hashes (argon2id; PHP's bcrypt and argon2 hashes verify too)."""

import re
import secrets
import string

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

_MINIMUM, _MAXIMUM = 8, 1024
_REQUIRED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)", re.DOTALL)
PASSWORD_RULE = (
    f"at least {_MINIMUM} characters with a lower case letter, an upper case letter and a digit"
)

_hashes = PasswordHash((Argon2Hasher(), BcryptHasher()))
# Verified where there is no account, so that both answers take the same time.
_decoy_hash = _hashes.hash(secrets.token_urlsafe(16))


def is_acceptable_password(password: str) -> bool:
    """Whether a password follows the rule that PASSWORD_RULE words."""
    return _MINIMUM <= len(password) <= _MAXIMUM and bool(_REQUIRED.match(password))


def hash_password(password: str) -> str:
    return _hashes.hash(password)


def verify_password(password: str, stored_hash: str | None) -> bool:
    """Check a password against a stored hash, or against nobody's at the same cost."""
    if len(password) > _MAXIMUM:
        password = ""
    matches = _hashes.verify(password, stored_hash or _decoy_hash)
    return matches and stored_hash is not None


def generate_password() -> str:
    """A random password of 20 characters that follows the rule."""
    alphabet = string.ascii_letters + string.digits
    while True:
        password = "".join(secrets.choice(alphabet) for _ in range(20))
        if is_acceptable_password(password):
            return password
