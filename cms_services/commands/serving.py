"""`cms-services run`, `worker` and `demo`: what serves, beside what and with what."""

import click
from flask import current_app
from flask.cli import with_appcontext

from cms_services.installation import ensure_admin, prepare_database
from cms_services.server import address_in_url, become_gunicorn, require_free_address
from cms_services.settings import current_settings


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
    from cms_services.worker.loop import work_until_stopped

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
