"""The private data folder: where the SQLite database and the generated keys are."""

import base64
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from cms_services.database import sqlalchemy_url, sqlite_file
from cms_services.settings import SettingError, Settings


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
