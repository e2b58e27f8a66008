"""The first start: data folder, keys, schema, first admin. Later starts find all of it."""

import base64
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from cms_services.accounts.passwords import (
    PASSWORD_RULE,
    generate_password,
    is_acceptable_password,
)
from cms_services.accounts.users import create_user, has_users
from cms_services.actor import SYSTEM
from cms_services.database import begin_writing, sqlalchemy_url, sqlite_file
from cms_services.errors import Conflict
from cms_services.extensions import db
from cms_services.schema import (
    is_known,
    is_new,
    newest_revision,
    present_revision,
    upgrade_schema,
)
from cms_services.settings import SettingError, Settings
from cms_services.vocabulary import Role


class InstallationError(Exception):
    """The application can't start. The message is the one line that the operator reads."""


def prepare_data_folder(settings: Settings) -> None:
    """Make the private folder (0700) and in it, for SQLite, an empty private database (0600).

    Raises SettingError where they can't be made, or where the database can't be told from its URL.
    """
    _require_usable_url(settings.effective_database_url)
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable_folder(error) from error
    database = sqlite_file(settings.effective_database_url)
    if database is not None:
        _make_database(database, settings)


def secret_key(settings: Settings) -> str:
    """The signing key that is set, else the one kept in the data folder. Raises SettingError."""
    if settings.secret_key is not None:
        return settings.secret_key
    path = settings.data_dir / "secret.key"
    key = _kept_key(path, lambda: secrets.token_urlsafe(48))
    if len(key) < 32 or not (key.isascii() and key.isprintable()):
        raise _damaged(path, "SECRET_KEY")
    return key


def encryption_key(settings: Settings) -> bytes:
    """The key for secrets at rest that is set, else the one kept in the data folder.

    Raises SettingError.
    """
    if settings.encryption_key is not None:
        return settings.encryption_key
    path = settings.data_dir / "encryption.key"
    kept = _kept_key(path, lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    try:
        key = base64.b64decode(kept, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise _damaged(path, "ENCRYPTION_KEY")
    return key


def prepare_database(settings: Settings) -> None:
    """Give an empty database its schema, and an SQLite one the newest.

    A server's database that has an older schema is left to `cms-services db upgrade`, since other
    nodes may be using it. Raises InstallationError.
    """
    present = present_revision()
    if not is_known(present):
        raise InstallationError("The database has the schema of a newer version; start that one.")
    if is_new() or (present and sqlite_file(settings.effective_database_url)):
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
    try:
        create_user(SYSTEM, settings.admin_email, "Administrator", password, Role.ADMIN)
    except Conflict:
        # Another node's first start has made it meanwhile.
        db.session.rollback()
        return None
    db.session.commit()
    return generated


def unreachable_database(settings: Settings, error: DBAPIError) -> InstallationError:
    """The one line that tells why no connection could be made, without the password."""
    url = make_url(settings.effective_database_url)
    shown = url.set(query={}).render_as_string(hide_password=True)
    told = str(error.orig.args[-1] if error.orig and error.orig.args else error.orig)
    reason, _, _ = told.partition("\n")
    return InstallationError(f"DATABASE_URL: {shown} can't be used ({reason}).")


def _require_usable_url(url: str) -> None:
    try:
        make_url(sqlalchemy_url(url)).get_dialect().import_dbapi()
    except (ArgumentError, ValueError, ImportError) as error:
        raise SettingError(
            "DATABASE_URL: takes a URL such as postgresql://name:password@host:5432/database, "
            "without a driver after a +."
        ) from error


def _make_database(path: Path, settings: Settings) -> None:
    """Make an empty database where there is none, with a write-ahead log of the same mode.

    It has the log before others see it: of two that switch it on at once, one would fail.
    """
    try:
        if not path.exists():
            with _published(path) as draft, closing(sqlite3.connect(draft)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
    except (OSError, sqlite3.Error) as error:
        if settings.database_url is None:
            raise _unusable_folder(error) from error
        raise SettingError(f"DATABASE_URL: no database can be made there ({error}).") from error


def _kept_key(path: Path, make: Callable[[], str]) -> str:
    """The key in a private file, made where there is none; of two starts at once, one key wins."""
    try:
        if not path.exists():
            with _published(path) as draft, draft.open("w") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise _unusable_folder(error) from error


@contextmanager
def _published(path: Path) -> Iterator[Path]:
    """A private draft to fill, which is then there as `path`; one that another made stays."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield draft
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _unusable_folder(error: Exception) -> SettingError:
    return SettingError(f"CMS_DATA_DIR: takes a folder that can be read and written ({error}).")


def _damaged(path: Path, name: str) -> SettingError:
    return SettingError(f"{name}: {path} is damaged; restore it from a backup, or set {name}.")
