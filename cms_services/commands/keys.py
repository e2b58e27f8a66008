"""`cms-services keys`: the keys of this installation, and new ones in their place."""

import sys

import click
from flask.cli import with_appcontext

from cms_services.data_folder import (
    add_key,
    encryption_key_file,
    kept_keys,
    secret_key_file,
)
from cms_services.encryption import current_vault
from cms_services.installation import prepare_database
from cms_services.key_rotation import (
    count_audit_entries_by_key,
    count_by_key,
    rotate_encryption_key,
    unreadable_values,
)
from cms_services.settings import SettingError, Settings, current_settings
from cms_services.signing import current_signing_keys


@click.group("keys")
def keys_group() -> None:
    """The keys that encrypt secrets and sign tokens."""


@keys_group.command("status")
@with_appcontext
def status_command() -> None:
    """Tell which keys there are, and how much each has sealed."""
    settings = current_settings()
    prepare_database(settings)
    counts = count_by_key() | {"audit entries": count_audit_entries_by_key()}
    own = current_vault().key_ids
    gone = sorted({key_id for each in counts.values() for key_id in each} - set(own))
    click.echo(f"Encryption keys, from {_source_of_encryption_keys(settings)}:")
    click.echo("  ".join(["key     ", "use    ", *counts]))
    for key_id in (*own, *gone):
        use = "missing" if key_id in gone else "seals" if key_id == own[0] else "opens"
        numbers = [str(each[key_id]).rjust(len(name)) for name, each in counts.items()]
        click.echo("  ".join([key_id, use.ljust(7), *numbers]))
    click.echo("Signing keys:")
    for number, key in enumerate(current_signing_keys().all):
        click.echo(f"{key.id}  {'verifies' if number else 'signs'}")


@keys_group.command("rotate")
@click.option("--signing", is_flag=True, help="The key that signs sessions and tokens instead.")
@with_appcontext
def rotate_command(signing: bool) -> None:
    """Make a new key for stored secrets, and seal them all anew with it.

    Nothing has to stop meanwhile. An earlier rotation that did not end is finished first, without
    another new key. It ends with 1 where a secret can't be opened; that one stays as it is.
    """
    settings = current_settings()
    if signing:
        _rotate_signing_key(settings)
        return
    prepare_database(settings)
    file = None if settings.encryption_keys else encryption_key_file(settings)
    rotation = rotate_encryption_key(current_vault(), file)
    if file and rotation.is_new:
        click.echo(f"New key: {rotation.key_id}. Back up {file.path}: older backups lack it.")
    elif file:
        click.echo(f"Key: {rotation.key_id}. Another rotation had begun, so no new one was made.")
    else:
        click.echo(f"Key: {rotation.key_id}, the first one of ENCRYPTION_KEY.")
    for place, count in rotation.resealed.items():
        click.echo(f"Sealed anew in {place}: {count}")
    _report_unreadable()


def _report_unreadable() -> None:
    """Name the secrets that can't be opened, and end with 1 where there are any."""
    unreadable = 0
    for value, reason in unreadable_values(current_vault()):
        unreadable += 1
        click.echo(f"{value}: {reason}", err=True)
    if unreadable:
        click.echo(f"{unreadable} secrets can't be opened and were left as they are.", err=True)
        sys.exit(1)


def _rotate_signing_key(settings: Settings) -> None:
    if settings.secret_key:
        raise SettingError(
            "SECRET_KEY: is set, so rotate it there: set a new one, and add the present one to "
            "SECRET_KEY_PREVIOUS."
        )
    file = secret_key_file(settings)
    add_key(file, instead_of=kept_keys(file)[0])
    click.echo(f"A new first key is in {file.path}; the earlier ones go on being accepted.")
    click.echo("Restart the processes now, so that they sign with it. Nobody is signed out.")


def _source_of_encryption_keys(settings: Settings) -> str:
    return "ENCRYPTION_KEY" if settings.encryption_keys else str(encryption_key_file(settings).path)
