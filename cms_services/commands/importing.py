"""`cms-services import`: copying an old CMS's database into this one."""

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import IO, Any

import click
from flask.cli import with_appcontext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cms_services.durations import parse_duration
from cms_services.importing.findings import About, Finding, Report, Tally
from cms_services.importing.mapping import Mapped, MappingError, read_mapping, zone_of
from cms_services.importing.proposing import propose
from cms_services.importing.running import AnotherRun, Import, Options, TargetAway
from cms_services.importing.source import Source, SourceError, opened_source
from cms_services.installation import prepare_database
from cms_services.settings import current_settings

_SHOWN = 20


class Unusable(click.ClickException):
    """The import can't begin, or can't go on. Ends with 2."""

    exit_code = 2


class Listing:
    """Findings as they come: some on the terminal, all in a file, and how many of each kind."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self._counts: Counter[About] = Counter()

    def add(self, finding: Finding) -> None:
        self._counts[finding.about] += 1
        if self._file is not None:
            print(json.dumps(finding.as_json(), ensure_ascii=False), file=self._file, flush=True)
        shown = self._counts[finding.about]
        if shown <= _SHOWN:
            line = f"{finding.about}: {finding.table} {finding.key}: {finding.reason}"
            # What stands in a key may be what a terminal takes for a command.
            click.echo("".join(c if c.isprintable() else "�" for c in line), err=True)
        elif shown == _SHOWN + 1:
            click.echo(f"{finding.about}: more, which --rejects FILE lists", err=True)


class Lines:
    """Progress where there is no terminal: a line as each table begins and ends."""

    def begin(self, entity: str, table: str, rows: int | None) -> None:
        click.echo(f"{entity}: {'new' if rows is None else rows} rows in {table}", err=True)

    def advance(self, rows: int) -> None:
        pass

    def end(self, tally: Tally) -> None:
        pass


class Bar:
    """Progress on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: Any = None

    def begin(self, entity: str, table: str, rows: int | None) -> None:
        self._task = self._progress.add_task(entity, total=rows)

    def advance(self, rows: int) -> None:
        self._progress.advance(self._task, rows)

    def end(self, tally: Tally) -> None:
        self._progress.update(self._task, completed=tally.read, total=tally.read)


class Zone(click.ParamType[str]):
    """The name of a time zone."""

    name = "zone"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        try:
            zone_of(value)
        except ValueError:
            self.fail("takes a time zone such as Europe/Berlin.", param, ctx)
        return str(value)


class Seconds(click.ParamType[float]):
    """A time such as 5s or 10m, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_duration(value).total_seconds()
        except ValueError:
            self.fail("takes a time such as 5s, 10m or 1h.", param, ctx)


@click.command("import")
@click.option("--from", "url", required=True, metavar="URL", help="mysql://user@host/name, …")
@click.option("--map", "map_file", type=click.File(encoding="utf-8"), help="The mapping, as YAML.")
@click.option(
    "--write-map",
    type=click.Path(path_type=Path),
    help="Write what is proposed into this new file; stop.",
)
@click.option(
    "--zone", type=Zone(), default="UTC", show_default=True, help="Of times, in what is proposed."
)
@click.option("--yes", is_flag=True, help="Take what is proposed without asking.")
@click.option("--dry-run", is_flag=True, help="Do everything, and undo it at the end.")
@click.option("--overwrite", is_flag=True, help="What was changed here gives way.")
@click.option("--end-missing", is_flag=True, help="End here what is gone there.")
@click.option(
    "--rejects",
    # At once, so that what an earlier run listed is gone where this one has nothing to list.
    type=click.File("w", encoding="utf-8", lazy=False),
    help="List all, as JSON lines.",
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.option("--follow", is_flag=True, help="Go on until interrupted.")
@click.option("--every", type=Seconds(), default="5s", show_default=True, help="With --follow.")
@click.option(
    "--whole-every",
    type=Seconds(),
    default="10m",
    show_default=True,
    help="With --follow: how often long tables are compared from the beginning.",
)
@with_appcontext
def import_command(
    url: str,
    map_file: IO[str] | None,
    write_map: Path | None,
    zone: str,
    yes: bool,
    dry_run: bool,
    overwrite: bool,
    end_missing: bool,
    rejects: IO[str] | None,
    as_json: bool,
    follow: bool,
    every: float,
    whole_every: float,
) -> None:
    """Copy an old CMS's database into this one.

    It is only read. A second run changes what changed there. Ends with 0 where all is here as it
    is there, with 1 where rows are listed that need a look, and with 2 where it can't be done; see
    docs/import.md.
    """
    if dry_run and follow:
        raise click.UsageError("--dry-run and --follow don't go together.")
    prepare_database(current_settings())
    try:
        mapped = None if map_file is None else read_mapping(map_file.read())
        with opened_source(url, None if mapped is None else mapped.name) as source:
            if mapped is None:
                mapped = _proposed(source, zone, write_map, yes)
            options = Options(dry_run, overwrite, end_missing)
            listing = Listing(rejects)
            with _progress() as progress, _until_signal() as stop:
                task = Import(source, mapped, options, listing.add, progress, stop)
                if follow:
                    report = task.follow(
                        every,
                        whole_every,
                        lambda each: _tell(each, as_json),
                        lambda trouble: click.echo(trouble, err=True),
                    )
                else:
                    report = task.run()
            if not follow:
                _tell(report, as_json)
    except (MappingError, SourceError, TargetAway, AnotherRun) as error:
        raise Unusable(str(error)) from error
    except UnicodeDecodeError as error:
        raise Unusable("The mapping is no UTF-8.") from error
    is_good = not _needs_look(report) if follow else report.is_clean
    sys.exit(0 if is_good else 1)


def _proposed(source: Source, zone: str, write_map: Path | None, yes: bool) -> Mapped:
    """The mapping that is proposed and was found good. Raises MappingError."""
    proposal = propose(source, zone)
    text = proposal.as_yaml()
    if write_map is not None:
        try:
            # One that is there may have been edited.
            with write_map.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise MappingError(f"{write_map} can't be written: {error.strerror}.") from error
        click.echo(f"Written: {write_map}. Look at it, then run with --map {write_map}.", err=True)
        for each in proposal.problems:
            click.echo(each, err=True)
        sys.exit(0)
    click.echo(text, err=True)
    if proposal.problems:
        told = "\n".join(proposal.problems)
        raise MappingError(f"{told}\nWrite the mapping to a file by --write-map and mend it.")
    if not yes and not click.confirm("Import by this mapping?", err=True):
        raise MappingError("Nothing was imported. --write-map FILE saves the mapping.")
    return read_mapping(text)


@contextmanager
def _progress() -> Iterator[Lines | Bar]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield Bar(progress)


@contextmanager
def _until_signal() -> Iterator[Event]:
    """What is set by SIGINT and SIGTERM, so that the page that is being taken is finished."""
    stop = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _needs_look(report: Report) -> bool:
    return not report.tallies or not all(each.is_clean for each in report.tallies.values())


def _tell(report: Report, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.as_json()))
        return
    names = [name for name in Tally.COUNTS if name != "missed"]
    click.echo("  ".join(["entity  ", *names, "checksums"]))
    for entity, tally in report.tallies.items():
        numbers = [str(getattr(tally, name)).rjust(len(name)) for name in names]
        same = f"equal {tally.source_sum:032x}"
        if not tally.is_equal:
            same = f"differ there {tally.source_sum:032x} here {tally.here_sum:032x}"
        click.echo("  ".join([entity.ljust(8), *numbers, same]))
        if tally.missed:
            click.echo(f"  {tally.missed} rows there came behind others and were not read.")
    if report.dry:
        click.echo("This was a dry run: nothing of it is here.")
    if report.stopped:
        click.echo("It was stopped. Run it again to go on.")
    click.echo("All of it is here as it is there." if report.is_clean else "Not all of it is here.")
