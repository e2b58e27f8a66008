"""The keys of an installation: into an archive, and back to where they are kept."""

import base64
from collections.abc import Sequence

from cms_services.backup.archive import BackupError
from cms_services.backup.contents import InstallationKeys, Manifest
from cms_services.data_folder import (
    encryption_key_file,
    encryption_keys,
    put_keys_first,
    secret_key_file,
    secret_keys,
)
from cms_services.encryption import Vault
from cms_services.settings import Settings


def present_keys(settings: Settings) -> InstallationKeys:
    """The keys of the installation, whether they are set or kept in the data folder."""
    return InstallationKeys(
        tuple(base64.b64encode(key).decode() for key in encryption_keys(settings)),
        secret_keys(settings),
    )


def archived_encryption_keys(manifest: Manifest, settings: Settings) -> Sequence[bytes]:
    """The keys that open the secrets of an archive: its own, else those of the installation."""
    if manifest.keys is None:
        return encryption_keys(settings)
    return tuple(base64.b64decode(key) for key in manifest.keys.encryption)


def require_fitting_keys(manifest: Manifest, settings: Settings) -> None:
    """Raises BackupError where what is restored would need encryption keys that aren't there."""
    if manifest.keys is not None and not settings.encryption_keys:
        return
    missing = set(manifest.encryption_key_ids) - set(Vault(encryption_keys(settings)).key_ids)
    if missing:
        source = "ENCRYPTION_KEY" if settings.encryption_keys else "encryption.key"
        raise BackupError(
            f"{source} lacks keys that the backup needs: {', '.join(sorted(missing))}. "
            "Put them there, or restore with a backup that has them."
        )


def restore_keys(manifest: Manifest, settings: Settings) -> None:
    """Put the keys of an archive into the data folder, unless they are set.

    Keys that are there already stay, behind them. Raises SettingError.
    """
    if manifest.keys is None:
        return
    if not settings.encryption_keys:
        put_keys_first(encryption_key_file(settings), manifest.keys.encryption)
    if not settings.secret_key:
        put_keys_first(secret_key_file(settings), manifest.keys.signing)


def signs_people_out(manifest: Manifest, settings: Settings) -> bool:
    """Whether sessions and tokens of the archive are worth nothing after restoring it."""
    present = secret_keys(settings)
    return manifest.keys is not None and manifest.keys.signing[0] not in present
