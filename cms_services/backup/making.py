"""Making a backup of the installation, and telling the files of several apart."""

import time
from dataclasses import dataclass
from pathlib import Path

from cms_services import clock
from cms_services.backup.archive import SUFFIX, BackupError, Locks, checksum_file, write_archive
from cms_services.backup.contents import Sums, dumped, manifest_of
from cms_services.backup.keys import present_keys
from cms_services.backup.record import note
from cms_services.backup.rows import unmoving_state
from cms_services.encryption import current_vault
from cms_services.extensions import db
from cms_services.schema import SchemaState, present_revision, schema_state
from cms_services.settings import Settings

_DRAFT_SECONDS = 24 * 60 * 60


@dataclass(frozen=True)
class Made:
    """A backup: its file, and how many rows and bytes it has."""

    path: Path
    rows: int
    size: int


def make_backup(settings: Settings, target: Path, locks: Locks, *, without_keys: bool) -> Made:
    """Write a backup to a file, or into a folder under a name of the time. Raises BackupError."""
    now = clock.now()
    path = target / f"cms-services-{now:%Y%m%dT%H%M%SZ}{SUFFIX}" if target.is_dir() else target
    sums: Sums = {}
    revision = present_revision()
    try:
        with unmoving_state(db.engine) as connection:
            state = schema_state(connection)
            if state is SchemaState.HALF_RESTORED:
                raise BackupError("The database is half restored; end that first.")
            if revision is None:
                raise BackupError("There is nothing to back up: the database has no schema yet.")
            if state not in (SchemaState.NEWEST, SchemaState.OLDER):
                raise BackupError(
                    "The database has the schema of a newer version; back it up with that one."
                )
            keys = None if without_keys else present_keys(settings)
            ids = current_vault().key_ids
            manifest = manifest_of(connection, revision, now, ids, keys)
            size = write_archive(path, dumped(connection, manifest, sums), locks)
        rows = sum(each["rows"] for each in sums.values())
        note(settings, "backup", now, path, rows=rows, bytes=size)
    except OSError as error:
        raise BackupError(f"{path} can't be written ({error}).") from error
    return Made(path, rows, size)


def newest_in(folder: Path) -> Path:
    """The newest backup of a folder. Raises BackupError where there is none."""
    found = _backups(folder)
    if not found:
        raise BackupError(f"{folder} holds no backup.")
    return found[-1]


def remove_older(folder: Path, keep: int) -> list[Path]:
    """Delete all backups of a folder but the newest, of so many. Returns what is deleted.

    And what backups that were killed have left, when it is a day old.
    """
    yesterday = time.time() - _DRAFT_SECONDS
    drafts = folder.glob(f".cms-services-*{SUFFIX}.*")
    older = [path for path in drafts if path.stat().st_mtime < yesterday]
    older += _backups(folder)[:-keep]
    for path in older:
        path.unlink(missing_ok=True)
        checksum_file(path).unlink(missing_ok=True)
    return older


def _backups(folder: Path) -> list[Path]:
    """The backups that were named by the time, the oldest first."""
    return sorted(folder.glob(f"cms-services-*{SUFFIX}"))
