"""`cms-services legacy`: what is still done by services.php."""

from typing import Any

import click
from flask.cli import with_appcontext

from cms_services.accounts.users import names_of_users
from cms_services.clock import to_wire
from cms_services.installation import prepare_database
from cms_services.ledger.reading import ActionUse, CallerUse, usage_by_action
from cms_services.legacy.actions import ACTIONS
from cms_services.settings import current_settings
from cms_services.web.bodies import instance_of
from cms_services.web.envelope import WireJSON
from cms_services.web.schemas.legacy import ActionUseOut


@click.group("legacy")
def legacy_group() -> None:
    """The old door, services.php."""


@legacy_group.command("usage")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_appcontext
def usage_command(days: int, as_json: bool) -> None:
    """Tell who calls which action how often, the latest called first.

    What nginx sends to PHP by itself is not counted here; see docs/cutover.md.
    """
    prepare_database(current_settings())
    uses = usage_by_action(days)
    if as_json:
        shown: Any = instance_of(ActionUseOut, many=True).dump(uses)
        click.echo(WireJSON.to_bytes(shown))
        return
    ids = {each.user_id for use in uses for each in use.callers if each.user_id}
    names = {row.id: row.name for row in names_of_users(ids)}
    for use in uses:
        click.echo(_told(use))
        for caller in use.callers:
            click.echo(f"  {caller.calls:>9}  {_caller(caller, names)}")
        if use.caller_count > len(use.callers):
            click.echo(f"             and {use.caller_count - len(use.callers)} more callers")
    silent = sorted(set(ACTIONS) - {use.action for use in uses})
    if silent:
        click.echo(f"Not called in {days} days: {', '.join(silent)}")


def _told(use: ActionUse) -> str:
    return (
        f"{use.action}: {use.answered_here} answered here, {use.passed_on} passed on to PHP, "
        f"last {to_wire(use.last_called_at)}"
    )


def _caller(caller: CallerUse, names: dict[str, str]) -> str:
    account = names.get(caller.user_id or "", caller.user_id)
    told = [account, caller.agent, caller.address, caller.site and f"on {caller.site}"]
    return ", ".join(each for each in told if each) or "all others"
