"""`cms-services backup`, `restore` and `drill`: everything in one file, and back from it."""

import sys
import tempfile
import time
from pathlib import Path

import click
from flask.cli import with_appcontext

from cms_services.backup.archive import BackupError, Keys, Locks
from cms_services.settings import Settings, current_settings

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)

_passphrase_option = click.option(
    "--passphrase-file", type=_FILE, help="Whose first line is the passphrase."
)
_identity_option = click.option(
    "--identity-file", type=_FILE, help="An identity of age-keygen, or an SSH private key."
)


@click.command("backup")
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="KEY",
    help="A public key of age or SSH, whose identity opens the backup. Repeatable.",
)
@_passphrase_option
@click.option("--without-keys", is_flag=True, help="Leave out the keys of the installation.")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="In a folder: afterwards delete all but the N newest.",
)
@with_appcontext
def backup_command(
    target: Path,
    recipients: tuple[str, ...],
    passphrase_file: Path | None,
    without_keys: bool,
    keep: int | None,
) -> None:
    """Write all that is stored into one encrypted file, while everything goes on being served.

    TARGET is a file, or a folder in which the file is named by the time.
    """
    from cms_services.backup.making import make_backup, remove_older

    settings = current_settings()
    if keep and not target.is_dir():
        raise BackupError("--keep goes with a folder.")
    locks = _locks(settings, recipients, passphrase_file)
    begun = time.monotonic()
    made = make_backup(settings, target, locks, without_keys=without_keys)
    seconds = time.monotonic() - begun
    click.echo(f"{made.path}: {made.rows} rows, {made.size} bytes, {seconds:.1f} s")
    for path in remove_older(target, keep) if keep else ():
        click.echo(f"Deleted: {path}")


@click.command("restore")
@click.argument("archive", type=_FILE)
@_identity_option
@_passphrase_option
@click.option("--check", "only_check", is_flag=True, help="Read all of it, and restore nothing.")
@click.option("--again", is_flag=True, help="Begin anew where a restore was interrupted.")
@with_appcontext
def restore_command(
    archive: Path,
    identity_file: Path | None,
    passphrase_file: Path | None,
    only_check: bool,
    again: bool,
) -> None:
    """Put a backup into an empty installation, on whichever database it is."""
    from cms_services.backup.keys import require_fitting_keys, restore_keys, signs_people_out
    from cms_services.backup.restoring import checked, load, require_empty, require_same

    settings = current_settings()
    keys = _keys(settings, identity_file, passphrase_file)
    if not only_check:
        require_empty(again=again)
    manifest, sums = checked(archive, keys)
    rows = sum(each["rows"] for each in sums.values())
    click.echo(
        f"{archive}: {rows} rows of {len(sums)} tables, made at {manifest.made_at:%Y-%m-%d %H:%M} "
        f"UTC from {manifest.database}, schema {manifest.revision}"
    )
    if only_check:
        return
    require_fitting_keys(manifest, settings)

    def finish(restored: dict[str, dict[str, object]]) -> None:
        require_same(sums, restored)
        restore_keys(manifest, settings)

    load(archive, keys, manifest, finish)
    click.echo(f"Restored, and read back: {rows} rows are as they were.")
    if signs_people_out(manifest, settings):
        click.echo("SECRET_KEY is another than the backup's: everybody has to sign in again.")


@click.command("drill")
@click.argument("archive", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--database-url",
    metavar="URL",
    help="An empty database, which is emptied again. Default: SQLite in a temporary folder.",
)
@_identity_option
@_passphrase_option
@with_appcontext
def drill_command(
    archive: Path,
    database_url: str | None,
    identity_file: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Restore a backup elsewhere, and look whether all is there. Ends with 1 where it isn't.

    ARCHIVE is a file, or a folder whose newest is taken.
    """
    from cms_services.backup.drill import run_drill
    from cms_services.backup.making import newest_in

    settings = current_settings()
    path = newest_in(archive) if archive.is_dir() else archive
    keys = _keys(settings, identity_file, passphrase_file)
    with tempfile.TemporaryDirectory(prefix="cms-services-drill-") as folder:
        result = run_drill(settings, path, keys, Path(folder), database_url)
    for line in result.table():
        click.echo(line)
    if not result.passed:
        click.echo("Not all of it is as it was.", err=True)
        sys.exit(1)


def _locks(settings: Settings, recipients: tuple[str, ...], passphrase_file: Path | None) -> Locks:
    recipients = recipients or settings.backup_recipients
    passphrase = _read_passphrase(passphrase_file) or settings.backup_passphrase
    if not recipients and not passphrase:
        if not sys.stdin.isatty():
            raise BackupError(
                "Say who can open the backup: --recipient, --passphrase-file, BACKUP_RECIPIENTS "
                "or BACKUP_PASSPHRASE."
            )
        passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True)
    return Locks(recipients, passphrase)


def _keys(settings: Settings, identity_file: Path | None, passphrase_file: Path | None) -> Keys:
    if identity_file is not None:
        return Keys(identities=identity_file.read_text(encoding="utf-8"))
    passphrase = _read_passphrase(passphrase_file) or settings.backup_passphrase
    if not passphrase and sys.stdin.isatty():
        passphrase = click.prompt("Passphrase", hide_input=True)
    return Keys(passphrase=passphrase)


def _read_passphrase(path: Path | None) -> str | None:
    if path is None:
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0]:
        raise BackupError(f"{path} holds no passphrase.")
    return lines[0]
