"""What an import comes to: counts and checksums of each entity, and what is to be told of rows."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

import orjson

_SUM_BYTES = 16
_MODULUS = 2 ** (8 * _SUM_BYTES)


class About(StrEnum):
    """What is told of a row."""

    # It can't be taken.
    REJECTED = "rejected"
    # It was changed on both sides, or is here without having come from there.
    CONFLICT = "conflict"
    # It was taken, though not all of it as it was.
    NOTE = "note"
    # It was taken before, and is no longer in the old database.
    GONE = "gone"


@dataclass(frozen=True)
class Finding:
    about: About
    entity: str
    table: str
    key: str
    reason: str

    def as_json(self) -> dict[str, str]:
        return {
            "about": self.about.value,
            "entity": self.entity,
            "table": self.table,
            "key": self.key,
            "reason": self.reason,
        }


Tell = Callable[[Finding], None]


@dataclass
class Tally:
    """Of one entity the rows that were read, and what became of each.

    `source_sum` and `here_sum` are checksums over the values of the rows that could be taken, as
    they were converted and as they were read back from our database. They are sums, so that the
    order of rows does not matter; where they are equal, every value is.
    """

    read: int = 0
    taken: int = 0
    updated: int = 0
    unchanged: int = 0
    # Changed here alone, and left so.
    kept: int = 0
    conflicts: int = 0
    rejected: int = 0
    # Older than what is kept here.
    outdated: int = 0
    gone: int = 0
    # Of metrics: there, but behind rows that were read, so never read.
    missed: int = 0
    here: int = 0
    source_sum: int = 0
    here_sum: int = 0

    COUNTS: ClassVar[tuple[str, ...]] = (
        "read", "taken", "updated", "unchanged", "kept", "conflicts", "rejected", "outdated",
        "gone", "missed", "here",
    )  # fmt: skip

    def add_source(self, target_id: str, values: Mapping[str, Any]) -> None:
        self.source_sum = (self.source_sum + _row_sum(target_id, values)) % _MODULUS

    def add_here(self, target_id: str, values: Mapping[str, Any]) -> None:
        self.here += 1
        self.here_sum = (self.here_sum + _row_sum(target_id, values)) % _MODULUS

    @property
    def is_equal(self) -> bool:
        return self.source_sum == self.here_sum

    @property
    def is_clean(self) -> bool:
        """Whether all that the old database has, and is kept here, is here as it was there."""
        return not (self.rejected or self.conflicts or self.gone or self.missed) and self.is_equal

    def as_json(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in self.COUNTS}
        return counts | {
            "sourceChecksum": f"{self.source_sum:032x}",
            "hereChecksum": f"{self.here_sum:032x}",
            "equal": self.is_equal,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Tally":
        sums = (int(kept[name], 16) for name in ("sourceChecksum", "hereChecksum"))
        return cls(*(kept[name] for name in cls.COUNTS), *sums)


@dataclass
class Report:
    """What a run came to. `stopped` says that it was asked to end before it was through."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    stopped: bool = False
    dry: bool = False

    @property
    def is_clean(self) -> bool:
        return not self.stopped and all(each.is_clean for each in self.tallies.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "dryRun": self.dry,
            "stopped": self.stopped,
            "clean": self.is_clean,
            "entities": {name: each.as_json() for name, each in self.tallies.items()},
        }


def digest(value: Any, size: int = 8) -> str:
    """A text of twice so many characters that tells a value from others."""
    return hashlib.blake2b(_encoded(value), digest_size=size).hexdigest()


def _row_sum(target_id: str, values: Mapping[str, Any]) -> int:
    found = hashlib.blake2b(_encoded([target_id, values]), digest_size=_SUM_BYTES)
    return int.from_bytes(found.digest())


def _encoded(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
