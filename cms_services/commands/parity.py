"""`cms-services parity`: does this application answer as the old script did?"""

import asyncio
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import click

from cms_services.parity.masking import Masker
from cms_services.parity.recording import (
    Exchange,
    RecordingError,
    RecordingWriter,
    read_recording,
    write_recording,
)
from cms_services.parity.sources import read_access_log, read_har

if TYPE_CHECKING:
    from cms_services.parity.replay import Credentials

_DIFFERENT, _COULD_NOT_RUN = 1, 2
_FILE = click.Path(path_type=Path, dir_okay=False)
_READABLE = click.Path(path_type=Path, dir_okay=False, exists=True)


class _Url(click.ParamType[str]):
    """The address of a server: a scheme, a host, perhaps a port."""

    name = "URL"

    def convert(
        self, value: str, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        try:
            parts = urlsplit(value)
            is_good = parts.scheme in ("http", "https") and bool(parts.hostname)
            is_good = is_good and not parts.query and not parts.fragment and parts.port != 0
        except ValueError:
            is_good = False
        if not is_good:
            self.fail(f"{value!r} is no URL such as http://127.0.0.1:8081", param, context)
        return value.rstrip("/")


_URL = _Url()


class _Listen(click.ParamType[tuple[str, int]]):
    name = "HOST:PORT"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, int]:
        match = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5})", str(value))
        if match is None or int(match[3]) > 65535:
            self.fail(f"{value!r} is no address such as 127.0.0.1:9000", param, context)
        return match[1] or match[2], int(match[3])


@click.group("parity")
def parity_group() -> None:
    """Compare what this application answers with what the old script answered."""


def fail(message: str) -> NoReturn:
    """End the command as one that could not run."""
    click.echo(message, err=True)
    sys.exit(_COULD_NOT_RUN)


@parity_group.command("record")
@click.option("--upstream", type=_URL, help="The old script's server; what comes in goes there.")
@click.option(
    "--listen",
    type=_Listen(),
    default="127.0.0.1:9000",
    show_default=True,
    help="Where to listen; port 0 takes any.",
)
@click.option("--har", type=_READABLE, help="Convert a HAR 1.2 file instead.")
@click.option("--access-log", type=_READABLE, help="Convert nginx's access log instead.")
@click.option("--to", "target", type=_FILE, required=True, help="The recording, of mode 0600.")
@click.option(
    "--path",
    "paths",
    multiple=True,
    default=("*/services.php",),
    show_default=True,
    help="Which paths to record; repeatable. All others pass unrecorded.",
)
@click.option(
    "--limit-mb",
    type=click.IntRange(1, 1024),
    default=4,
    show_default=True,
    help="MiB of a body beyond which it isn't recorded; it passes all the same.",
)
@click.option(
    "--host-header",
    type=click.Choice(["keep", "upstream"]),
    default="keep",
    show_default=True,
    help="Which Host the upstream is told: the one that came in, or its own.",
)
def record_command(
    upstream: str | None,
    listen: tuple[str, int],
    har: Path | None,
    access_log: Path | None,
    target: Path,
    paths: tuple[str, ...],
    limit_mb: int,
    host_header: str,
) -> None:
    """Record requests and their answers, with secrets masked, until interrupted."""
    # Not needed by the other commands, and slow to load.
    from cms_services.parity.recorder import Recorder, RecorderOptions, tell_on_stderr

    if sum(each is not None for each in (upstream, har, access_log)) != 1:
        raise click.UsageError("Give one of --upstream, --har and --access-log.")
    if upstream is None:
        source = read_har(har) if har else read_access_log(access_log or Path())
        _convert(source, target, paths)
        return
    if not _is_loopback(listen[0]):
        tell_on_stderr(f"Beware: {listen[0]} can be reached from other machines, without TLS.")
    writer = RecordingWriter(target, tell_on_stderr)
    options = RecorderOptions(
        upstream, *listen, paths, limit_mb * 1024 * 1024, host_header == "keep"
    )
    try:
        writer.open()
        asyncio.run(Recorder(options, writer, tell_on_stderr).run())
    except (OSError, RecordingError) as error:
        fail(f"Can't record: {error}")
    finally:
        writer.close()


def _convert(source: Iterator[Exchange], target: Path, paths: tuple[str, ...]) -> None:
    masker = Masker()

    def wanted(exchange: Exchange) -> bool:
        return any(fnmatchcase(exchange.target.partition("?")[0], each) for each in paths)

    try:
        count = write_recording(target, (masker.exchange(each) for each in source if wanted(each)))
    except (OSError, RecordingError) as error:
        fail(f"Can't convert: {error}")
    click.echo(f"Recorded {count} requests to {target}.")


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(each[4][0])).is_loopback for each in found)


@parity_group.command("replay")
@click.argument("recording", type=_READABLE)
@click.option("--against", type=_URL, required=True, help="The server that is to be judged.")
@click.option("--baseline", type=_URL, help="A server to ask now, instead of the recorded answers.")
@click.option(
    "--changes",
    is_flag=True,
    help="Send what changes something too, in the recorded order: to scratch databases only.",
)
@click.option("--ignore", "rules", type=_READABLE, help="A file of rules: what may differ.")
@click.option("--key-order", is_flag=True, help="The order of keys counts.")
@click.option(
    "--mended-texts",
    is_flag=True,
    help="Texts that were encoded twice there and are mended here count as equal.",
)
@click.option("--exact", is_flag=True, help="The bytes of JSON count, and the order of keys.")
@click.option(
    "--report",
    "form",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
)
@click.option("--out", type=_FILE, help="Write the report here rather than to stdout.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option(
    "--header",
    "headers",
    multiple=True,
    help="'Name: value' for --against, or @FILE of such.",
)
@click.option("--cookie", "cookies", multiple=True, help="name=value for --against.")
@click.option("--baseline-header", "baseline_headers", multiple=True, help="As --header.")
@click.option("--baseline-cookie", "baseline_cookies", multiple=True, help="As --cookie.")
@click.option("--sign-in", metavar="EMAIL", help="Sign in to --against with this account.")
@click.option("--password-file", type=_READABLE, help="The password of --sign-in, in a file.")
@click.option(
    "--always-signed-in",
    is_flag=True,
    help="Show the credentials with every request. Default: where some were recorded.",
)
@click.option(
    "--fail-over",
    type=click.FloatRange(0, 100),
    default=0.0,
    show_default=True,
    help="The share of differing answers, in percent, beyond which it ends with 1.",
)
def replay_command(
    recording: Path,
    against: str,
    baseline: str | None,
    changes: bool,
    rules: Path | None,
    key_order: bool,
    mended_texts: bool,
    exact: bool,
    form: str,
    out: Path | None,
    concurrency: int,
    headers: tuple[str, ...],
    cookies: tuple[str, ...],
    baseline_headers: tuple[str, ...],
    baseline_cookies: tuple[str, ...],
    sign_in: str | None,
    password_file: Path | None,
    always_signed_in: bool,
    fail_over: float,
) -> None:
    """Send recorded requests and compare the answers.

    It ends with 0 where all are equal, with 1 where some differ, with 2 where it could not run.
    """
    from cms_services.parity.comparison import Comparison, RulesError, load_rules
    from cms_services.parity.replay import ReplayOptions, replay
    from cms_services.parity.sides import Side, SignInFailed

    try:
        options = ReplayOptions(
            Side(against, _credentials(headers, cookies)),
            Side(baseline, _credentials(baseline_headers, baseline_cookies)) if baseline else None,
            Comparison(load_rules(rules) if rules else (), key_order or exact, exact, mended_texts),
            changes,
            concurrency,
            always_signed_in or not _has_credentials(recording),
            _account(sign_in, password_file),
        )
        report = asyncio.run(replay(read_recording(recording), options))
    except (OSError, RecordingError, RulesError, SignInFailed) as error:
        fail(f"Can't compare: {error}")
    if not report.requests:
        click.echo(report.as_text(), err=True, nl=False)
        fail("Nothing was sent, so nothing is proved.")
    if report.unanswered >= report.requests:
        click.echo(report.as_text(), err=True, nl=False)
        fail("No request was answered.")
    told = {"text": report.as_text, "json": report.as_json, "html": report.as_html}[form]()
    _write(told, out)
    if 100 * report.differing / report.requests > fail_over:
        sys.exit(_DIFFERENT)


def _write(told: str, out: Path | None) -> None:
    if out is None:
        click.echo(told, nl=False)
        return
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(told.encode())
    except OSError as error:
        fail(f"Can't write {out}: {error.strerror}")


def _has_credentials(recording: Path) -> bool:
    """Whether any request was recorded with some; browsers leave them out of HAR files."""
    from cms_services.parity.replay import is_signed_in

    return any(is_signed_in(each) for each in read_recording(recording))


def _credentials(headers: tuple[str, ...], cookies: tuple[str, ...]) -> list[tuple[str, str]]:
    lines: list[str] = []
    for each in headers:
        # A file, since what stands in a command is seen by whoever lists processes.
        lines += Path(each[1:]).read_text().splitlines() if each.startswith("@") else [each]
    found = []
    for line in filter(str.strip, lines):
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name.strip()):
            raise click.UsageError("A header is 'Name: value'.")
        found.append((name.strip(), value.strip()))
    if cookies:
        if any("=" not in each for each in cookies):
            raise click.UsageError("A cookie is name=value.")
        found.append(("Cookie", "; ".join(cookies)))
    return found


def _account(email: str | None, password_file: Path | None) -> "Credentials | None":
    from cms_services.parity.replay import Credentials

    if (email is None) != (password_file is None):
        raise click.UsageError("Give --sign-in and --password-file together.")
    if email is None or password_file is None:
        return None
    return Credentials(email, password_file.read_text().rstrip("\r\n"))


@parity_group.command("infer")
@click.argument("recording", type=_READABLE)
@click.option(
    "--against", type=_URL, required=True, help="This application, without a LEGACY_PROFILE."
)
@click.option("--write", "target", type=_FILE, help="Write the profile into this new file.")
@click.option("--header", "headers", multiple=True, help="'Name: value', or @FILE of such.")
@click.option("--cookie", "cookies", multiple=True, help="name=value.")
@click.option("--sign-in", metavar="EMAIL", help="Sign in with this account.")
@click.option("--password-file", type=_READABLE, help="The password of --sign-in, in a file.")
@click.option("--always-signed-in", is_flag=True, help="As with replay.")
def infer_command(
    recording: Path,
    against: str,
    target: Path | None,
    headers: tuple[str, ...],
    cookies: tuple[str, ...],
    sign_in: str | None,
    password_file: Path | None,
    always_signed_in: bool,
) -> None:
    """Propose the profile that makes the most answers equal to recorded ones.

    It ends with 0 where all are equal with it, with 1 where some still differ, with 2 where
    nothing could be proposed.
    """
    from cms_services.parity.inference import infer
    from cms_services.parity.inference.asking import InferenceError, ask_plainly
    from cms_services.parity.inference.changes import changes_in
    from cms_services.parity.sides import Side, SignInFailed

    try:
        side = Side(against, _credentials(headers, cookies))
        shown = always_signed_in or not _has_credentials(recording)
        account = _account(sign_in, password_file)
        pairs = asyncio.run(ask_plainly(read_recording(recording), side, account, shown))
        changes = changes_in(read_recording(recording))
    except (OSError, RecordingError, InferenceError, SignInFailed) as error:
        fail(f"Can't infer: {error}")
    proposal = infer(pairs, changes)
    click.echo(proposal.as_text(), err=target is None, nl=False)
    if target is None:
        click.echo(proposal.as_yaml(), nl=False)
    else:
        try:
            with target.open("x", encoding="utf-8") as file:
                file.write(proposal.as_yaml())
        except OSError as error:
            fail(f"Can't write {target}: {error.strerror}")
    if proposal.equal < proposal.pairs:
        sys.exit(_DIFFERENT)
