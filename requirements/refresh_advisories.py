"""Refresh the extract of the PyPA advisory database: `make advisories`.

Takes the folder of a checkout, or clones the newest commit. What it says about the packages of the
lock files is kept in advisories.json (the database is under CC BY 4.0).
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name

from requirements.audit import Advisory, Extract, Range, locked_versions

DATABASE = "https://github.com/pypa/advisory-database"


def extract_of(checkout: Path, packages: list[str]) -> Extract:
    """What a checkout says about these packages. Raises ValueError where it is none."""
    if not (checkout / "vulns").is_dir():
        raise ValueError(f"{checkout} is no checkout of the advisory database")
    advisories = [each for name in packages for each in _advisories(checkout / "vulns", name)]
    return Extract(
        fetched=_git(checkout, "log", "-1", "--format=%cs"),
        commit=_git(checkout, "rev-parse", "HEAD"),
        packages=packages,
        advisories=sorted(advisories, key=lambda each: (each.package, each.id)),
    )


def _advisories(folder: Path, name: str) -> Iterator[Advisory]:
    for path in sorted((folder / name).glob("*.yaml")):
        document: dict[str, Any] = yaml.safe_load(path.read_text())
        if document.get("withdrawn"):
            continue
        for affected in document["affected"]:
            if canonicalize_name(affected["package"]["name"]) == name:
                yield Advisory(
                    id=document["id"],
                    aliases=sorted(document.get("aliases", [])),
                    package=name,
                    versions=[str(each) for each in affected.get("versions", [])],
                    ranges=_ranges(affected),
                )


def _ranges(affected: dict[str, Any]) -> list[Range]:
    """Those of versions. Those of commits say the same of a repository."""
    return [
        [{kind: str(text) for kind, text in event.items()} for event in each["events"]]
        for each in affected.get("ranges", [])
        if each["type"] == "ECOSYSTEM"
    ]


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    done = subprocess.run(  # noqa: S603 - git, on a folder that the operator names
        command, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def main(given: str | None = None) -> None:
    """Write the extract, from a checkout or from a clone that is thrown away."""
    packages = sorted({name for name, _ in locked_versions()})
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(given or folder)
        if given is None:
            _git(checkout, "clone", "--quiet", "--depth", "1", DATABASE, ".")
        extract = extract_of(checkout, packages)
    extract.write()
    told = f"{len(extract.advisories)} advisories about {len(packages)} packages"
    print(f"{told}, as of {extract.fetched} ({datetime.now(UTC):%Y-%m-%d} today)")


if __name__ == "__main__":
    main(*sys.argv[1:2])
