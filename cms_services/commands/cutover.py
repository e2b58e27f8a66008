"""`cms-services cutover`: moving services.php from PHP to this application, action by action."""

import os
import sys
from pathlib import Path

import click

from cms_services.cutover.explanation import explained
from cms_services.cutover.nginx import http_configuration, server_configuration
from cms_services.legacy.media_types import FORM
from cms_services.legacy.routes import RouteTable, RouteTableError, read_table


class _Table(click.ParamType[RouteTable]):
    """The path of a table, read."""

    name = "table"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> RouteTable:
        if isinstance(value, RouteTable):
            return value
        try:
            return read_table(Path(str(value)))
        except RouteTableError as error:
            click.echo(str(error), err=True)
            sys.exit(2)


@click.group("cutover")
def cutover_group() -> None:
    """Which action of services.php is answered here, and which by PHP."""


@cutover_group.command("nginx")
@click.argument("table", type=_Table())
@click.option("--out", type=click.Path(path_type=Path), help="Write here, and beside it.")
@click.option("--all-to", type=click.Choice(["php"]), help="Every action, whatever the table says.")
def nginx_command(table: RouteTable, out: Path | None, all_to: str | None) -> None:
    """Write nginx's configuration for a table of actions.

    FILE is for nginx's http block; beside it, a file of the same name that ends in .location is
    for the server block.
    """
    http = http_configuration(table, all_to_php=all_to == "php")
    server = server_configuration(table)
    if out is None:
        click.echo(http.decode() + "\n" + server.decode(), nl=False)
        return
    location = out.with_suffix(".location")
    if location == out:
        raise click.BadParameter("must not end in .location.", param_hint="--out")
    try:
        _write(location, server)
        _write(out, http)
    except OSError as error:
        click.echo(f"{error.filename}: {error.strerror}", err=True)
        sys.exit(1)
    click.echo(f"{out}: for the http block")
    click.echo(f"{location}: for the server block, by include")
    click.echo("Then: nginx -t && nginx -s reload")


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once, since nginx may be told to reload at any time."""
    written = path.with_name(f".{path.name}.new")
    written.write_bytes(content)
    os.replace(written, path)


@cutover_group.command("check")
@click.argument("table", type=_Table())
@click.option("--query", default="", help="What stands behind the question mark.")
@click.option("--body", help="A body; with it the method is POST.")
@click.option("--content-type", default=FORM, show_default=True, help="Type of the body.")
@click.option("--method", help="Another method.")
@click.option("--client", default="", help="Session id or address, for shares.")
def check_command(
    table: RouteTable,
    query: str,
    body: str | None,
    content_type: str,
    method: str | None,
    client: str,
) -> None:
    """Say whether a table holds, and where a request would go by it."""
    method = method or ("GET" if body is None else "POST")
    lines = explained(table, method, query.encode(), content_type, (body or "").encode(), client)
    for line in lines:
        click.echo(line)
