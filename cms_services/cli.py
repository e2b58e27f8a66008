"""The command `cms-services`."""

import sys

import click
from flask import Flask, current_app
from flask.cli import FlaskGroup, with_appcontext
from sqlalchemy.exc import DBAPIError

from cms_services.commands.audit import audit_group
from cms_services.commands.backup import backup_command, drill_command, restore_command
from cms_services.commands.cutover import cutover_group
from cms_services.commands.importing import import_command
from cms_services.commands.keys import keys_group
from cms_services.commands.legacy import legacy_group
from cms_services.commands.parity import parity_group
from cms_services.commands.permissions import permissions_command
from cms_services.installation import (
    InstallationError,
    ensure_admin,
    prepare_database,
    unreachable_database,
)
from cms_services.server import address_in_url, become_gunicorn, require_free_address
from cms_services.settings import SettingError, current_settings
from cms_services.worker.loop import work_until_stopped


def init_commands(app: Flask) -> None:
    app.cli.add_command(run_command)
    app.cli.add_command(worker_command)
    app.cli.add_command(demo_command)
    app.cli.add_command(audit_group)
    app.cli.add_command(backup_command)
    app.cli.add_command(restore_command)
    app.cli.add_command(drill_command)
    app.cli.add_command(import_command)
    app.cli.add_command(keys_group)
    app.cli.add_command(cutover_group)
    app.cli.add_command(legacy_group)
    app.cli.add_command(parity_group)
    app.cli.add_command(permissions_command)


@click.command("run")
@with_appcontext
def run_command() -> None:
    """Set up what is missing, then serve until interrupted."""
    settings = current_settings()
    require_free_address(settings)
    prepare_database(settings)
    generated = ensure_admin(settings)
    address = f"http://{address_in_url(settings)}"
    lines = [f"CMS Services on {address}  (data in {settings.data_dir})"]
    if generated is not None:
        lines.append(f"First admin: {settings.admin_email}  password: {generated}  (shown once)")
    lines.append(f"Try: curl '{address}/services.php?getServiceTypes=getServiceTypes'")
    click.echo("\n".join(lines), err=True)
    become_gunicorn(settings)


@click.command("worker")
@click.option("--beside", type=int, metavar="PID", help="Stop also when this parent is gone.")
@with_appcontext
def worker_command(beside: int | None) -> None:
    """Do the periodic work until interrupted."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    work_until_stopped(app, beside)


@click.command("demo")
@with_appcontext
def demo_command() -> None:
    """Fill an empty installation with an invented company."""
    from cms_services.demo.company import fill

    prepare_database(current_settings())
    for line in fill():
        click.echo(line)


def main() -> None:
    """Run a command; a bad setting or a database out of reach ends it with one line."""
    from cms_services import create_app

    try:
        app = create_app()
        try:
            FlaskGroup(create_app=lambda: app, add_default_commands=False)()
        except DBAPIError as error:
            # Without a statement it was the connecting that failed.
            if error.statement is not None:
                raise
            with app.app_context():
                raise unreachable_database(current_settings(), error) from error
    except (SettingError, InstallationError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)
