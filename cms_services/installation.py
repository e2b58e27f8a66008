"""The first start: data folder, keys, schema, first admin. Later starts find all of it."""

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cms_services.accounts.passwords import (
    PASSWORD_RULE,
    generate_password,
    is_acceptable_password,
)
from cms_services.accounts.users import create_user, has_users
from cms_services.actor import SYSTEM
from cms_services.database import begin_writing, sqlite_file
from cms_services.extensions import db
from cms_services.schema import is_empty, newest_revision, present_revision, upgrade_schema
from cms_services.settings import SettingError, Settings
from cms_services.vocabulary import Role


class InstallationError(Exception):
    """The application can't start. The message is the one line that the operator reads."""


def prepare_data_folder(settings: Settings) -> None:
    """Make the private folder (0700) and in it, for SQLite, an empty private database (0600).

    Raises SettingError where they can't be made.
    """
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = sqlite_file(settings.effective_database_url)
        if database is not None and not database.exists():
            # Its write-ahead log takes the same mode.
            database.touch(mode=0o600)
    except OSError as error:
        raise SettingError(
            f"CMS_DATA_DIR: takes a folder that can be made or written ({error.strerror})."
        ) from error


def secret_key(settings: Settings) -> str:
    """The signing key that is set, else the one kept in the data folder."""
    return settings.secret_key or _kept_key(
        settings.data_dir / "secret.key", lambda: secrets.token_urlsafe(48)
    )


def encryption_key(settings: Settings) -> bytes:
    """The key for secrets at rest that is set, else the one kept in the data folder."""
    if settings.encryption_key is not None:
        return settings.encryption_key
    kept = _kept_key(
        settings.data_dir / "encryption.key",
        lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    )
    return base64.b64decode(kept)


def prepare_database(settings: Settings) -> None:
    """Give an empty database its schema, and an SQLite one the newest.

    A server's database that has an older schema is left to `cms-services db upgrade`, since other
    nodes may be using it. Raises InstallationError.
    """
    if is_empty() or sqlite_file(settings.effective_database_url):
        upgrade_schema()
    if present_revision() != newest_revision():
        raise InstallationError(
            "The database has the schema of another version. Run: cms-services db upgrade"
        )


def ensure_admin(settings: Settings) -> str | None:
    """Make the first admin where there is no account yet.

    Returns the password if it was generated now. Raises SettingError for an unfit one.
    """
    begin_writing(db.session())
    if has_users():
        db.session.rollback()
        return None
    if settings.admin_password is not None and not is_acceptable_password(settings.admin_password):
        raise SettingError(f"CMS_ADMIN_PASSWORD: takes {PASSWORD_RULE}.")
    generated = None if settings.admin_password else generate_password()
    password = settings.admin_password or str(generated)
    create_user(SYSTEM, settings.admin_email, "Administrator", password, Role.ADMIN)
    db.session.commit()
    return generated


def _kept_key(path: Path, make: Callable[[], str]) -> str:
    """The key in a private file, made where there is none; of two starts at once, one key wins."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
