"""The locked versions against the advisories that are known, and that the check finds one."""

import subprocess
import warnings
from datetime import date
from pathlib import Path

import pytest
from packaging.version import Version

from requirements.audit import (
    LOCKS,
    Advisory,
    Extract,
    findings,
    locked_versions,
    main,
    shortcomings,
)
from requirements.refresh_advisories import extract_of

TODAY = date(2030, 5, 6)
LOCK = """\
# a comment
jinja2==2.11.2 \\
    --hash=sha256:00
Flask_Login==0.6.3 ; python_version >= "3.11" \\
    --hash=sha256:01
uvicorn[standard]==0.1.0
"""
ADVISORY = """\
id: PYSEC-2021-66
details: Slow.
affected:
- package: {name: Jinja2, ecosystem: PyPI}
  ranges:
  - type: ECOSYSTEM
    events: [{introduced: '0'}, {fixed: 2.11.3}]
  - type: GIT
    events: [{introduced: abc}, {fixed: def}]
  versions: ['2.10', 2.11.2]
- package: {name: another, ecosystem: PyPI}
aliases: [CVE-2020-28493]
"""


def advisory(*ranges: list[dict[str, str]], versions: tuple[str, ...] = ()) -> Advisory:
    return Advisory("PYSEC-1", ["CVE-1"], "jinja2", list(versions), list(ranges))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of a database with one advisory, and another that was withdrawn."""
    folder = tmp_path / "vulns" / "jinja2"
    folder.mkdir(parents=True)
    (folder / "PYSEC-2021-66.yaml").write_text(ADVISORY)
    (folder / "PYSEC-2021-67.yaml").write_text(ADVISORY + "withdrawn: '2022-01-01T00:00:00Z'\n")
    author = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


@pytest.mark.filterwarnings("default")
def test_no_advisory_is_known_about_what_we_lock() -> None:
    locked, extract = locked_versions(), Extract.read()
    for shortcoming in shortcomings(extract, locked, date.today()):
        warnings.warn(shortcoming, stacklevel=1)
    if extract is None:
        pytest.skip("there is no extract of the advisories; run: make advisories")
    assert list(findings(extract, locked)) == []


def test_both_locks_are_read() -> None:
    names = {name for name, _ in locked_versions()}
    assert {"flask", "jinja2", "gunicorn", "pytest", "mypy"} <= names
    assert len(locked_versions(LOCKS[:1])) < len(locked_versions())


def test_a_lock_file_is_read_as_the_installer_reads_it(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text(LOCK)
    assert locked_versions([lock]) == [
        ("flask-login", Version("0.6.3")),
        ("jinja2", Version("2.11.2")),
        ("uvicorn", Version("0.1.0")),
    ]


@pytest.mark.parametrize(
    ("events", "affected", "spared"),
    [
        ([{"introduced": "0"}, {"fixed": "2.11.3"}], "0.1 2.9 2.11.2 2.11.3rc1", "2.11.3 3.0"),
        ([{"introduced": "2.0"}, {"last_affected": "2.2"}], "2.0 2.1 2.2", "1.9 2.2.1 2.3"),
        ([{"introduced": "0"}], "0.0.1 99", ""),
        (
            [{"introduced": "3.0"}, {"fixed": "3.2"}, {"introduced": "1.0"}, {"fixed": "1.5"}],
            "1.0 1.4 3.0 3.1.9",
            "0.9 1.5 2.0 3.2 4.0",
        ),
        ([{"introduced": "1.0", "fixed": "1.5"}], "1.0 1.4.9", "1.5"),
        ([{"introduced": "not a version"}, {"fixed": "2.0"}], "0.1 1.9", "2.0"),
        ([{"introduced": "1.0"}, {"limit": "2.0"}], "1.5", "2.0"),
    ],
)
def test_a_range_is_read_as_the_format_says(
    events: list[dict[str, str]], affected: str, spared: str
) -> None:
    found = advisory(events)
    assert all(found.concerns(Version(each)) for each in affected.split())
    assert not any(found.concerns(Version(each)) for each in spared.split())


def test_a_version_may_be_listed_by_itself() -> None:
    found = advisory(versions=("2.0rc1", "2.0.0", "v2.1"))
    assert found.concerns(Version("2.0RC1")) and found.concerns(Version("2.1"))
    assert not found.concerns(Version("2.2"))


def test_a_planted_version_is_found_by_name_version_and_advisory(
    tmp_path: Path, checkout: Path
) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text(LOCK)
    locked = locked_versions([lock])
    extract = extract_of(checkout, [name for name, _ in locked])
    told = ["jinja2 2.11.2 is affected by PYSEC-2021-66, CVE-2020-28493"]
    assert list(findings(extract, locked)) == told
    assert len(extract.commit) == 40
    lock.write_text(LOCK.replace("2.11.2", "2.11.3"))
    assert list(findings(extract, locked_versions([lock]))) == []


def test_the_command_ends_with_1_where_a_version_is_affected(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = [("jinja2", Version("2.11.2"))]
    monkeypatch.setattr("requirements.audit.locked_versions", lambda: locked)
    extract = extract_of(checkout, ["jinja2"])
    monkeypatch.setattr(Extract, "read", classmethod(lambda _: extract))
    assert main() == 1
    assert "jinja2 2.11.2" in capsys.readouterr().out
    locked[:] = [("jinja2", Version("3.1.6"))]
    assert main() == 0
    assert capsys.readouterr().out == "1 locked versions, no advisory known\n"


def test_an_extract_comes_back_as_it_was_written(tmp_path: Path, checkout: Path) -> None:
    extract = extract_of(checkout, ["jinja2"])
    extract.write(tmp_path / "advisories.json")
    assert Extract.read(tmp_path / "advisories.json") == extract
    assert Extract.read(tmp_path / "nothing.json") is None
    with pytest.raises(ValueError, match="no checkout"):
        extract_of(tmp_path / "vulns", ["jinja2"])


@pytest.mark.parametrize(
    ("fetched", "packages", "told"),
    [
        ("2030-05-01", ["jinja2"], []),
        ("2030-04-06", ["jinja2"], []),
        ("2030-04-05", ["jinja2"], ["31 days old"]),
        ("2030-05-01", [], ["older than these packages: jinja2"]),
    ],
)
def test_an_old_extract_is_warned_of_and_fails_nothing(
    fetched: str, packages: list[str], told: list[str]
) -> None:
    locked = [("jinja2", Version("3.0"))]
    extract = Extract(fetched, "0" * 40, packages, [])
    warned = list(shortcomings(extract, locked, TODAY))
    assert len(warned) == len(told)
    assert all(each in line for each, line in zip(told, warned, strict=True))
    assert list(findings(extract, locked)) == []


def test_a_missing_extract_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Extract, "read", classmethod(lambda _: None))
    assert main() == 0
    told = capsys.readouterr()
    assert "nothing was audited" in told.err
    assert told.out == ""
