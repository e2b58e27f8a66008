"""`cms-services doctor`: what is wrong with the installation, and how it is mended."""

import json
import os
import sys
from dataclasses import asdict

import click

from cms_services.doctor.checks import diagnose
from cms_services.doctor.findings import Level


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON array.")
@click.option("--strict", is_flag=True, help="End with 1 where there are warnings only.")
@click.option("--url", help="Ask this address too, as clients do: https://cms.example.com")
@click.option("--nodes", type=click.IntRange(1), help="Whether so many nodes like this one fit.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    help="With --nodes: how many `cms-services worker` run by themselves.",
)
def doctor_command(
    as_json: bool, strict: bool, url: str | None, nodes: int | None, workers: int | None
) -> None:
    """Look at the installation. Ends with 2 where something fails; changes nothing."""
    if workers is not None and nodes is None:
        raise click.UsageError("--workers needs --nodes beside it.")
    findings = list(diagnose(os.environ, url, nodes, workers))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(f"{finding.level:<8} {finding.check}: {finding.seen}")
            if finding.mend:
                click.echo(f"{'':<8} -> {finding.mend}")
    levels = {finding.level for finding in findings}
    if Level.FAILURE in levels:
        sys.exit(2)
    sys.exit(1 if strict and Level.WARNING in levels else 0)
