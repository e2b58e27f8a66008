"""A drill: a backup restored elsewhere, and compared with what it says of itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, current_app

from cms_services import clock
from cms_services.audit.verification import Verification
from cms_services.backup.archive import Keys
from cms_services.backup.contents import Sums
from cms_services.backup.keys import archived_encryption_keys
from cms_services.backup.record import note
from cms_services.backup.restoring import checked, drop_restored, load, require_empty
from cms_services.backup.rows import unmoving_state
from cms_services.encryption import Vault
from cms_services.extensions import db
from cms_services.key_rotation import count_by_key, unreadable_values
from cms_services.settings import Settings


@dataclass(frozen=True)
class DrillResult:
    """What a drill found: the sums of each table in the backup and restored, and what is wrong."""

    archived: Sums
    restored: Sums
    audit_entries: int
    secrets: int
    findings: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.archived == self.restored and not self.findings

    def table(self) -> Iterator[str]:
        """Lines for people to read."""
        width = max(map(len, self.archived), default=0)
        yield f"{'table'.ljust(width)}  {'backup':>10}  {'restored':>10}  content"
        for name, sums in self.archived.items():
            restored = self.restored.get(name, {"rows": 0, "sha256": ""})
            same = "same" if restored == sums else "DIFFERS"
            yield f"{name.ljust(width)}  {sums['rows']:>10}  {restored['rows']:>10}  {same}"
        yield f"Audit entries of the chain: {self.audit_entries}. Secrets: {self.secrets}."
        yield from self.findings


def run_drill(
    settings: Settings, path: Path, keys: Keys, folder: Path, database_url: str | None
) -> DrillResult:
    """Restore an archive into an empty database, look at all of it, and empty that again.

    `folder` is a temporary one, where an SQLite database is made unless a URL is given. Raises
    BackupError, InstallationError, SettingError.
    """
    now = clock.now()
    manifest, archived = checked(path, keys)
    vault = Vault(archived_encryption_keys(manifest, settings))
    with _application(folder, database_url):
        require_empty(again=False)
        restored: Sums = {}
        findings: list[str] = []
        try:
            load(path, keys, manifest, restored.update)
            entries = _check_audit(vault, manifest.audit_head, findings)
            findings += [f"{value}: {why}" for value, why in unreadable_values(vault, every=True)]
            secrets = sum(counts.total() for counts in count_by_key().values())
        finally:
            drop_restored(manifest)
    result = DrillResult(archived, restored, entries, secrets, tuple(findings))
    note(settings, "drill", now, path, passed=result.passed)
    return result


def _check_audit(vault: Vault, head: str | None, findings: list[str]) -> int:
    """Verify the chain up to the head that the archive tells. Returns how many entries it has."""
    noted = []
    if head:
        number, _, code = head.partition(":")
        noted.append((int(number), code))
    with unmoving_state(db.engine) as connection:
        verification = Verification(connection, vault, noted)
        findings += [f"audit {finding}" for finding in verification.findings()]
    return verification.checked


@contextmanager
def _application(folder: Path, database_url: str | None) -> Iterator[Flask]:
    """An application of its own, on the database for the drill."""
    environment = {"CMS_DATA_DIR": str(folder), "LOG_LEVEL": "warning"}
    if database_url is not None:
        environment["DATABASE_URL"] = database_url
    create: Callable[..., Flask] = current_app.extensions["cms_services.create_base_app"]
    app = create(environment, answers_requests=False)
    with app.app_context():
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()
