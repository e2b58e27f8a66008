"""The private data folder: where the SQLite database and the generated keys are."""

import base64
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from cms_services.database import sqlalchemy_url, sqlite_file
from cms_services.key_files import KeyFile
from cms_services.private_files import published
from cms_services.settings import SettingError, Settings

T = TypeVar("T")


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


def secret_keys(settings: Settings) -> tuple[str, ...]:
    """The keys that sign, the one in use first. Raises SettingError.

    They are set, or kept in the data folder; SECRET_KEY_PREVIOUS adds to either.
    """
    kept = (settings.secret_key,) if settings.secret_key else kept_keys(secret_key_file(settings))
    return (*kept, *settings.secret_key_previous)


def encryption_keys(settings: Settings) -> tuple[bytes, ...]:
    """The keys for secrets at rest that are set, else those kept in the data folder.

    Raises SettingError.
    """
    return settings.encryption_keys or kept_keys(encryption_key_file(settings))


def secret_key_file(settings: Settings) -> KeyFile[str]:
    """Where signing keys are kept unless SECRET_KEY is set."""
    path = settings.data_dir / "secret.key"
    return KeyFile(path, lambda: secrets.token_urlsafe(48), _signing_key)


def encryption_key_file(settings: Settings) -> KeyFile[bytes]:
    """Where the keys for secrets at rest are kept unless ENCRYPTION_KEY is set."""
    path = settings.data_dir / "encryption.key"
    return KeyFile(path, lambda: base64.b64encode(secrets.token_bytes(32)).decode(), _aes_key)


def kept_keys(file: KeyFile[T]) -> tuple[T, ...]:
    """The keys of a file, which is made where there is none. Raises SettingError."""
    with _told_as_settings(file):
        return file.keys()


def add_key(file: KeyFile[T], instead_of: T) -> bool:
    """Put a new key before the first one of a file. False: `instead_of` is the first no more.

    Raises SettingError.
    """
    with _told_as_settings(file):
        return file.add_first(instead_of)


def put_keys_first(file: KeyFile[T], lines: Sequence[str]) -> None:
    """Put keys, as a file has them, before those that it has. Raises SettingError."""
    with _told_as_settings(file):
        file.put_first(lines)


def _signing_key(line: str) -> str:
    if len(line) < 32 or not line.isprintable():
        raise ValueError("This is no signing key.")
    return line


def _aes_key(line: str) -> bytes:
    key = base64.b64decode(line, validate=True)
    if len(key) != 32:
        raise ValueError("This is no key of 256 bits.")
    return key


@contextmanager
def _told_as_settings(file: KeyFile[T]) -> Iterator[None]:
    """What is wrong with a file of keys becomes a SettingError."""
    # secret.key stands in for SECRET_KEY, encryption.key for ENCRYPTION_KEY.
    name = f"{file.path.stem.upper()}_KEY"
    try:
        yield
    except OSError as error:
        raise _unusable_folder(error) from error
    except ValueError as error:
        raise SettingError(
            f"{name}: {file.path} is damaged; restore it from a backup, or set {name}."
        ) from error


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
            with published(path) as draft, closing(sqlite3.connect(draft)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
    except (OSError, sqlite3.Error) as error:
        if settings.database_url is None:
            raise _unusable_folder(error) from error
        raise SettingError(f"DATABASE_URL: no database can be made there ({error}).") from error


def _unusable_folder(error: Exception) -> SettingError:
    return SettingError(f"CMS_DATA_DIR: takes a folder that can be read and written ({error}).")
