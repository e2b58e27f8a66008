"""Does an advisory concern a version that we lock?

Works offline, from an extract of the PyPA advisory database that `make advisories` refreshes.
Ends with 1 where a locked version is affected; an old or missing extract is only warned of.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

EXTRACT = Path(__file__).with_name("advisories.json")
LOCKS = tuple(Path(__file__).with_name(f"{name}.lock") for name in ("runtime", "test"))
STALE_AFTER = timedelta(days=30)

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)

# Of the OSV format: a list of {"introduced": version}, {"fixed": version} and so on.
Range = list[dict[str, str]]


@dataclass(frozen=True)
class Advisory:
    """What is known of one weakness of one package, in the words of the OSV format."""

    id: str
    aliases: list[str]
    package: str
    versions: list[str]
    ranges: list[Range]

    def concerns(self, version: Version) -> bool:
        """Whether a version is affected: listed as such, or within one of the ranges."""
        return str(version) in {_normalised(each) for each in self.versions} or any(
            _is_within(version, events) for events in self.ranges
        )


@dataclass(frozen=True)
class Extract:
    """The advisories about our packages, and of when and of which commit they are."""

    fetched: str
    commit: str
    packages: list[str]
    advisories: list[Advisory]

    @classmethod
    def read(cls, path: Path = EXTRACT) -> "Extract | None":
        """None where there is no extract yet."""
        if not path.exists():
            return None
        document = json.loads(path.read_text())
        advisories = [Advisory(**each) for each in document.pop("advisories")]
        return cls(**document, advisories=advisories)

    def write(self, path: Path = EXTRACT) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")


def locked_versions(locks: Sequence[Path] = LOCKS) -> list[tuple[str, Version]]:
    """Names and versions that the lock files pin, each once."""
    pinned = {
        (str(canonicalize_name(name)), Version(version))
        for lock in locks
        for name, version in _PINNED.findall(lock.read_text())
    }
    return sorted(pinned)


def findings(extract: Extract, locked: Sequence[tuple[str, Version]]) -> Iterator[str]:
    """A line for each advisory that concerns a locked version."""
    for name, version in locked:
        for advisory in extract.advisories:
            if advisory.package == name and advisory.concerns(version):
                told = ", ".join([advisory.id, *advisory.aliases])
                yield f"{name} {version} is affected by {told}"


def shortcomings(
    extract: Extract | None, locked: Sequence[tuple[str, Version]], today: date
) -> Iterator[str]:
    """What the extract can't tell: it is missing, is old, or does not know a locked package."""
    if extract is None:
        yield "there is no extract of the advisories, so nothing was audited; run `make advisories`"
        return
    age = today - date.fromisoformat(extract.fetched)
    if age > STALE_AFTER:
        yield f"the extract of the advisories is {age.days} days old; run `make advisories`"
    unknown = {name for name, _ in locked} - set(extract.packages)
    if unknown:
        yield f"the extract is older than these packages: {', '.join(sorted(unknown))}"


def _is_within(version: Version, events: Range) -> bool:
    """The algorithm of the OSV format: the last event at or below a version decides."""
    affected = False
    for kind, text in sorted(
        ((kind, text) for event in events for kind, text in event.items()),
        key=lambda pair: (_version(pair[1]), pair[0] != "introduced"),
    ):
        bound = _version(text)
        if kind == "introduced" and version >= bound:
            affected = True
        elif (kind in ("fixed", "limit") and version >= bound) or (
            kind == "last_affected" and version > bound
        ):
            affected = False
    return affected


def _version(text: str) -> Version:
    """What is no version of Python's kind counts as the lowest, so that it hides nothing."""
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0.dev0")


def _normalised(text: str) -> str:
    try:
        return str(Version(text))
    except InvalidVersion:
        return text


def main() -> int:
    """Print what was found. Returns the status to exit with."""
    locked, extract = locked_versions(), Extract.read()
    for shortcoming in shortcomings(extract, locked, datetime.now(UTC).date()):
        print(f"warning: {shortcoming}", file=sys.stderr)
    if extract is None:
        return 0
    found = list(findings(extract, locked))
    print("\n".join(found) or f"{len(locked)} locked versions, no advisory known")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
