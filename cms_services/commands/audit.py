"""`cms-services audit`: checking and exporting the audit trail."""

import re
import sys
from datetime import UTC, datetime

import click
from flask.cli import with_appcontext

from cms_services.actor import SYSTEM
from cms_services.audit.verification import Verification, unmoving_view
from cms_services.encryption import current_vault
from cms_services.installation import prepare_database
from cms_services.settings import current_settings
from cms_services.web.audit_export import exported_entries


def _noted_head(text: str) -> tuple[int, str]:
    """The number of an entry and its code, from a head as `verify` prints it."""
    noted = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text)
    if noted is None:
        raise click.BadParameter(f"{text!r} is not a head as verify prints it.")
    return int(noted[1]), noted[2]


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text!r} is not a time as 2030-01-31T12:00:00Z is.") from error


@click.group("audit")
def audit_group() -> None:
    """The audit trail: what was changed and read, by whom."""


@audit_group.command("verify")
@click.option(
    "--expect",
    "noted",
    type=_noted_head,
    metavar="ID:MAC",
    multiple=True,
    help="A head of before, which must still be in the chain.",
)
@with_appcontext
def verify_command(noted: tuple[tuple[int, str], ...]) -> None:
    """Look for entries that were edited, removed, moved or added. Ends with 1 where there are any.

    Without --expect it can't see that somebody who has the key made the chain anew, or that the
    whole database was set back; see docs/audit.md.
    """
    prepare_database(current_settings())
    damaged = False
    with unmoving_view() as connection:
        verification = Verification(connection, current_vault(), noted)
        for finding in verification.findings():
            damaged = True
            click.echo(finding)
    click.echo(f"Checked: {verification.checked}. Older than the chain: {verification.older}.")
    click.echo(f"Head: {verification.head or 'none yet'}")
    if verification.missing_keys:
        click.echo(f"Keys that are not configured: {', '.join(verification.missing_keys)}.")
    if damaged:
        click.echo("Not all of it is as it was written; see docs/audit.md.", err=True)
        sys.exit(1)


@audit_group.command("export")
@click.option("--since", type=_moment, metavar="TIME", help="Of this time or later; in UTC.")
@click.option("--until", type=_moment, metavar="TIME", help="Of before this time.")
@with_appcontext
def export_command(since: datetime | None, until: datetime | None) -> None:
    """Write all entries as JSON, one a line, the oldest first."""
    prepare_database(current_settings())
    for lines in exported_entries(SYSTEM, since=since, until=until):
        click.echo(lines, nl=False)
