"""The second factor: codes of an authenticator (TOTP, RFC 6238), and recovery codes."""

import hmac
import secrets
import textwrap
from dataclasses import dataclass

import pyotp
from sqlalchemy import delete, func, select

from cms_services.accounts.models import RecoveryCode, User
from cms_services.accounts.random_tokens import hash_of_token
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.clock import now
from cms_services.encryption import current_vault
from cms_services.errors import Conflict, ValidationFailed
from cms_services.extensions import db
from cms_services.mail.outbox import post
from cms_services.vocabulary import EventType
from cms_services.wording import worded

_ISSUER = "CMS Services"
_STEP_SECONDS = 30
# Clocks differ, and typing takes time: the code before and the one after count too.
_TOLERATED_STEPS = (0, -1, 1)
RECOVERY_CODES = 10
_RECOVERY_LENGTH = 28
_RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator needs: the secret, also as the URI that a QR code holds."""

    secret: str
    uri: str


def has_second_factor(user: User) -> bool:
    return user.totp_confirmed_at is not None


def begin_enrolment(user: User) -> Enrolment:
    """A new secret for an account, which counts once a code of it was shown. Raises Conflict."""
    if has_second_factor(user):
        raise Conflict(worded("This account has a second factor; remove that first."))
    secret = pyotp.random_base32()
    user.totp_secret = current_vault().seal(secret, totp_context(user.id))
    db.session.flush()
    return enrolment_of(user, secret)


def enrolment_under_way(user: User, secret: str) -> Enrolment | None:
    """What is to be confirmed, for whoever shows its secret again; None for anything else."""
    if has_second_factor(user) or user.totp_secret is None:
        return None
    stored = current_vault().open(user.totp_secret, totp_context(user.id))
    is_it = hmac.compare_digest(stored.encode(), secret.encode())
    return enrolment_of(user, stored) if is_it else None


def enrolment_of(user: User, secret: str) -> Enrolment:
    """A secret as an authenticator takes it for this account."""
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=_ISSUER)
    return Enrolment(secret, uri)


def confirm_enrolment(actor: Actor, user: User, code: str) -> list[str]:
    """Let the second factor count from now on. Returns the recovery codes, shown this once.

    Raises Conflict where nothing is to confirm, ValidationFailed for a wrong code.
    """
    if has_second_factor(user) or user.totp_secret is None:
        raise Conflict(worded("There is no new second factor to confirm; begin with one."))
    if not _use_authenticator_code(user, code):
        raise ValidationFailed(
            {"code": [worded("This is not the present code of the authenticator.")]}
        )
    user.totp_confirmed_at = now()
    codes = _new_recovery_codes(user)
    record(actor, EventType.SECOND_FACTOR_ENABLED, "user", user.id, user.id)
    post("second-factor-changed", user.email, {"enabled": True})
    return codes


def use_code(actor: Actor, user: User, code: str) -> bool:
    """Whether a code of the authenticator or a recovery code is right; each is good for once.

    The account's row must be locked by the caller.
    """
    if _use_authenticator_code(user, code):
        return True
    written = "".join(c for c in code.lower() if c.isalnum())
    found = db.session.get(RecoveryCode, (user.id, _hash(user.id, written)))
    if found is None:
        return False
    db.session.delete(found)
    db.session.flush()
    left = recovery_codes_left(user)
    record(actor, EventType.RECOVERY_CODE_USED, "user", user.id, user.id, {"left": left})
    post("recovery-code-used", user.email, {"left": left})
    return True


def renew_recovery_codes(actor: Actor, user: User) -> list[str]:
    """New recovery codes in the place of the old ones. Raises Conflict without a second factor."""
    if not has_second_factor(user):
        raise Conflict(worded("This account has no second factor."))
    codes = _new_recovery_codes(user)
    record(actor, EventType.RECOVERY_CODES_RENEWED, "user", user.id, user.id)
    return codes


def remove_second_factor(actor: Actor, user: User) -> None:
    """Let the password alone count again. An account without a second factor stays as it is."""
    had = has_second_factor(user)
    user.totp_secret = user.totp_confirmed_at = user.totp_last_step = None
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    db.session.flush()
    if had:
        record(actor, EventType.SECOND_FACTOR_DISABLED, "user", user.id, user.id)
        post("second-factor-changed", user.email, {"enabled": False})


def recovery_codes_left(user: User) -> int:
    query = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user.id)
    return db.session.scalar(query) or 0


def totp_context(user_id: str) -> str:
    """What a sealed TOTP secret is bound to."""
    return f"user:{user_id}:totp_secret"


def _use_authenticator_code(user: User, code: str) -> bool:
    written = "".join(code.split())
    if user.totp_secret is None or not (written.isascii() and written.isdigit()):
        return False
    totp = pyotp.TOTP(current_vault().open(user.totp_secret, totp_context(user.id)))
    present = int(now().timestamp()) // _STEP_SECONDS
    for step in (present + offset for offset in _TOLERATED_STEPS):
        if user.totp_last_step is not None and step <= user.totp_last_step:
            continue
        if hmac.compare_digest(totp.generate_otp(step), written):
            user.totp_last_step = step
            db.session.flush()
            return True
    return False


def _new_recovery_codes(user: User) -> list[str]:
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = [
        "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(_RECOVERY_LENGTH))
        for _ in range(RECOVERY_CODES)
    ]
    db.session.add_all(
        RecoveryCode(user_id=user.id, code_hash=_hash(user.id, code)) for code in codes
    )
    db.session.flush()
    return ["-".join(textwrap.wrap(code, 4)) for code in codes]


def _hash(user_id: str, code: str) -> str:
    # 138 random bits, so that one fast hash is enough.
    return hash_of_token(f"{user_id}:{code}")
