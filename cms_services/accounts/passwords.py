"""Password rules and hashes (argon2id; PHP's bcrypt and argon2 hashes verify too)."""

import re
import secrets
import string
from base64 import b64encode
from dataclasses import replace
from functools import cache

from argon2 import Parameters
from argon2.profiles import RFC_9106_LOW_MEMORY
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from cms_services.settings import current_settings
from cms_services.wording import worded

_MINIMUM, _MAXIMUM = 8, 1024
# bcrypt knows no more of a password, and PHP cut longer ones silently where it made the hash.
_BCRYPT_BYTES = 72
_REQUIRED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)", re.DOTALL)
PASSWORD_RULE = worded(
    "at least %(least)s characters with a lower case letter, an upper case letter and a digit",
    least=_MINIMUM,
)

_OBVIOUS_WORDS = ("cms", "services", "cms services", "admin", "administrator", "password")

_bcrypt = BcryptHasher()


class Hashing:
    """argon2id at some cost, beside the bcrypt of hashes that came from PHP."""

    def __init__(self, cost: Parameters) -> None:
        argon2 = Argon2Hasher(cost.time_cost, cost.memory_cost, cost.parallelism)
        self.hashes = PasswordHash((argon2, _bcrypt))
        # How hashes begin that are made now: algorithm, version and parameters.
        self.prefix = (
            f"$argon2id$v={cost.version}"
            f"$m={cost.memory_cost},t={cost.time_cost},p={cost.parallelism}$"
        )
        # Verified where there is no account, so that both answers take the same time. No password
        # has this hash.
        zeros = (_base64(bytes(length)) for length in (cost.salt_len, cost.hash_len))
        self.decoy = self.prefix + "$".join(zeros)


@cache
def _hashing_with(memory_mib: int) -> Hashing:
    return Hashing(replace(RFC_9106_LOW_MEMORY, memory_cost=memory_mib * 1024))


def _hashing() -> Hashing:
    return _hashing_with(current_settings().password_hash_memory)


def current_prefix() -> str:
    """How the hashes begin that this installation makes now."""
    return _hashing().prefix


def is_acceptable_password(password: str) -> bool:
    """Whether a password follows the rule that PASSWORD_RULE words."""
    return _MINIMUM <= len(password) <= _MAXIMUM and bool(_REQUIRED.match(password))


def is_common_password(password: str, own_words: tuple[str, ...] = ()) -> bool:
    """Whether many people use this password, in whatever case, or it is an obvious word.

    Obvious are the own words and our product's, also with digits and signs around and between.
    """
    lowered = password.casefold()
    obvious = {_letters(word.casefold()) for word in (*own_words, *_OBVIOUS_WORDS)}
    return lowered in _common_passwords() or _letters(lowered) in obvious - {""}


def hash_password(password: str) -> str:
    """A hash to store, with a salt of its own and PASSWORD_HASH_MEMORY_MB's cost."""
    return _hashing().hashes.hash(password)


def is_outdated_hash(stored_hash: str) -> bool:
    """Whether another hasher, or the present one with other parameters, made this hash."""
    return not stored_hash.startswith(current_prefix())


def verify_password(
    password: str, stored_hash: str | None, outdated_sample: str | None = None
) -> bool:
    """Check a password against a stored hash, or against nobody's at the same cost.

    `outdated_sample` is an outdated hash of this installation, where it has any. A refusal has then
    always tried one hash of either kind, so that its time tells neither whether there is an
    account nor how its hash was made.
    """
    if len(password) > _MAXIMUM:
        password = ""
    decoy = _hashing().decoy
    tried = stored_hash or decoy
    matches = _verify(password, tried)
    if not matches and outdated_sample is not None:
        _verify(password, decoy if is_outdated_hash(tried) else outdated_sample)
    return matches and stored_hash is not None


def generate_password() -> str:
    """A random password of 22 characters, 130 bits, that follows the rule."""
    alphabet = string.ascii_letters + string.digits
    while True:
        password = "".join(secrets.choice(alphabet) for _ in range(22))
        if is_acceptable_password(password):
            return password


def _verify(password: str, stored_hash: str) -> bool:
    hashes = _hashing().hashes
    try:
        if _bcrypt.identify(stored_hash):
            return hashes.verify(password.encode()[:_BCRYPT_BYTES], stored_hash)
        return hashes.verify(password, stored_hash)
    except (UnknownHashError, ValueError):
        # What no hasher made opens to no password.
        return False


def _base64(data: bytes) -> str:
    # The PHC string format leaves the padding out.
    return b64encode(data).rstrip(b"=").decode()


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalpha())


@cache
def _common_passwords() -> frozenset[str]:
    # Large, and needed only where somebody chooses a password.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])
