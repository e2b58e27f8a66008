"""Commands of `flask`: the worker, and the first admin."""

import signal
from threading import Event

import click
from flask import Flask
from flask.cli import with_appcontext

from app.accounts import create_user
from app.errors import ApiError
from app.tasks import run_next, work
from app.utilities.validators import email_address, new_password


def add_to(app: Flask) -> None:
    app.cli.add_command(work_command)
    app.cli.add_command(create_admin_command)


@click.command("work")
@click.option("--once", is_flag=True, help="Do what is due now, and end.")
@with_appcontext
def work_command(once: bool) -> None:
    """Do background tasks until SIGTERM or Ctrl-C."""
    if once:
        while run_next():
            pass
        return
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    work(stop)


@click.command("create-admin")
@click.argument("email")
@click.password_option(envvar="ADMIN_PASSWORD")
@with_appcontext
def create_admin_command(email: str, password: str) -> None:
    """Make an account that may do everything."""
    try:
        create_user(email_address(email), new_password(password), role="admin")
    except (ValueError, ApiError) as error:
        raise click.ClickException(str(error)) from error
