"""The command `cms-services`, each part of which is loaded once it is asked for."""

import sys
from importlib import import_module

import click
from flask import Flask
from flask.cli import AppGroup, FlaskGroup, ScriptInfo

from cms_services import create_app

# Where each command is.
_PLACES = {
    "audit": "cms_services.commands.audit:audit_group",
    "backup": "cms_services.commands.backup:backup_command",
    "cutover": "cms_services.commands.cutover:cutover_group",
    "db": "flask_migrate.cli:db",
    "demo": "cms_services.commands.serving:demo_command",
    "drill": "cms_services.commands.backup:drill_command",
    "doctor": "cms_services.commands.doctor:doctor_command",
    "import": "cms_services.commands.importing:import_command",
    "keys": "cms_services.commands.keys:keys_group",
    "legacy": "cms_services.commands.legacy:legacy_group",
    "parity": "cms_services.commands.parity:parity_group",
    "permissions": "cms_services.commands.permissions:permissions_command",
    "restore": "cms_services.commands.backup:restore_command",
    "run": "cms_services.commands.serving:run_command",
    "worker": "cms_services.commands.serving:worker_command",
}

# Comparing the schema needs every model, and the table of permissions every route.
_OF_THE_WHOLE = ("db", "permissions")


class _LoadedLate(click.Group):
    """A group with our commands. Loading one must not take as long as loading all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*click.Group.list_commands(self, ctx), *_PLACES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _PLACES:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = _PLACES[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


class AppCommands(_LoadedLate, AppGroup):
    """The commands as an application has them."""


class _CommandLine(_LoadedLate, FlaskGroup):
    """The commands as the operator calls them. Most make an application without doors."""

    def __init__(self) -> None:
        super().__init__(create_app=self._base, add_default_commands=False)
        self.made: Flask | None = None

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._load_plugin_commands()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # So may those need it that libraries bring.
        if cmd_name in _OF_THE_WHOLE or cmd_name not in _PLACES:
            ctx.ensure_object(ScriptInfo).create_app = self._whole
        return super().get_command(ctx, cmd_name)

    def _base(self) -> Flask:
        from cms_services.base_application import create_base_app

        self.made = create_base_app(answers_requests=False)
        return self.made

    def _whole(self) -> Flask:
        import_module("cms_services.tables")
        self.made = create_app(answers_requests=False)
        return self.made


def main() -> None:
    """Run a command; a bad setting or a database out of reach ends it with one line."""
    commands = _CommandLine()
    try:
        commands()
    except Exception as error:
        line = _line_for(error, commands.made)
        if line is None:
            raise
        click.echo(line, err=True)
        sys.exit(2)


def _line_for(error: Exception, app: Flask | None) -> str | None:
    """What an operator reads in the place of a traceback; None for what nobody expected."""
    from sqlalchemy.exc import DBAPIError

    from cms_services.installation import InstallationError, unreachable_database
    from cms_services.settings import SettingError, current_settings

    if isinstance(error, (SettingError, InstallationError)):
        return str(error)
    # Without a statement it was the connecting that failed.
    if isinstance(error, DBAPIError) and error.statement is None and app is not None:
        with app.app_context():
            return str(unreachable_database(current_settings(), error))
    return None
