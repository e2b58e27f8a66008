"""Finding what others than us edited, removed, moved or added in the audit trail."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError

from cms_services.audit.chain import HEAD_DOUBTED, KEY_LABEL, Head, head_by_entries, read_head
from cms_services.audit.codes import content_half, halves, is_same, place_half
from cms_services.audit.models import AuditEntry
from cms_services.database import AnyRow, AnySelect
from cms_services.encryption import Vault
from cms_services.errors import ServiceConfigError
from cms_services.extensions import db

Entry: TypeAlias = Mapping[str, Any]

_BATCH = 1000
_ENTRIES = AuditEntry.__table__
# What reading an entry raises whose column was set to something that it can't hold.
_UNREADABLE = (ValueError, TypeError, OperationalError)


class Damage(StrEnum):
    """What can be wrong with an entry, in the words that the operator reads."""

    EDITED = "edited"
    REMOVED = "removed"
    OUT_OF_PLACE = "out of place: not written behind the entry that stands before"
    ADDED = "added by somebody else: without a code"
    BEHIND_THE_HEAD = "behind the head: added by somebody else, or the head was set back"
    BEFORE_THE_CHAIN = "with a code, yet before the beginning of the chain"
    CUT_OFF = "removed: the end of the chain is cut off"
    UNCHECKED = "can't be checked: the key is not configured"
    NOT_THE_LAST = "not the entry that the head of the chain names"
    HEAD_EDITED = "the head of the chain, here, was edited"
    HEAD_REMOVED = "the head of the chain, here, was removed"
    HEAD_UNCHECKED = "the head of the chain, here, can't be checked: the key is not configured"
    NOT_AS_NOTED = "not the entry that was noted"


@dataclass(frozen=True)
class Finding:
    """The same damage to one entry, or to all from `first_id` to `last_id`."""

    damage: Damage
    first_id: int
    last_id: int

    def __str__(self) -> str:
        if self.first_id == self.last_id:
            return f"entry {self.first_id}: {self.damage}"
        return f"entries {self.first_id} to {self.last_id}: {self.damage}"


@contextmanager
def unmoving_view() -> Iterator[Connection]:
    """A connection that sees one state of the trail for as long as it reads, and locks nothing."""
    with db.engine.connect() as connection:
        # SQLite's transactions are so by themselves.
        if connection.dialect.name != "sqlite":
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


class Verification:
    """One walk over the whole trail, in constant memory.

    `noted` has numbers and codes of entries that were kept elsewhere. `checked` counts the entries
    of the chain and `older` those before it; both are complete when findings() has ended.
    """

    def __init__(
        self, connection: Connection, vault: Vault, noted: Iterable[tuple[int, str]] = ()
    ) -> None:
        self.checked = 0
        self.older = 0
        self.head = read_head(connection)
        self._connection = connection
        self._vault = vault
        self._noted: dict[int, set[str]] = defaultdict(set)
        for number, code in noted:
            self._noted[number].add(code)
        self._keys: dict[str, bytes | None] = {}
        # The code of the entry before; None where it is missing or has none.
        self._previous: str | None = ""

    @property
    def missing_keys(self) -> list[str]:
        """The ids of keys that codes were made with and that are not configured."""
        return sorted(key_id for key_id, key in self._keys.items() if key is None)

    def findings(self) -> Iterator[Finding]:
        """What is wrong, in the order of the entries; the same damage in a row is told once."""
        run: Finding | None = None
        for finding in self._walk():
            if run and finding.damage == run.damage and finding.first_id == run.last_id + 1:
                run = replace(run, last_id=finding.last_id)
                continue
            if run:
                yield run
            run = finding
        if run:
            yield run

    def _walk(self) -> Iterator[Finding]:
        by_entries = head_by_entries(self._connection)
        doubt = self._damage_to(self.head)
        # A head that somebody else may have written doesn't say where the chain begins and ends.
        head = by_entries if doubt or self.head is None else self.head
        last_id = head.began_after
        for number, entry in _entries(self._connection):
            yield from self._differing_from_noted(number, entry)
            if number <= head.began_after:
                yield from self._before_the_chain(number, entry)
                continue
            if number > last_id + 1:
                yield Finding(Damage.REMOVED, last_id + 1, number - 1)
                self._previous = None
            last_id = number
            for damage in self._damages(number, entry, head):
                yield Finding(damage, number, number)
        if last_id < head.last_id:
            yield Finding(Damage.CUT_OFF, last_id + 1, head.last_id)
        # Where no entry has a code there need be no head yet.
        if doubt is not None and (self.checked or doubt is not Damage.HEAD_REMOVED):
            yield Finding(doubt, last_id, last_id)
        for number in sorted(self._noted):
            yield Finding(Damage.NOT_AS_NOTED, number, number)

    def _damage_to(self, head: Head | None) -> Damage | None:
        if head is None or head.mac == "":
            return Damage.HEAD_REMOVED
        if self._key(head.key_id) is None:
            return Damage.HEAD_UNCHECKED
        return None if head.is_right(self._vault) else Damage.HEAD_EDITED

    def _differing_from_noted(self, number: int, entry: Entry | None) -> Iterator[Finding]:
        noted = self._noted.pop(number, None)
        if noted is not None and (entry is None or noted != {entry["mac"]}):
            yield Finding(Damage.NOT_AS_NOTED, number, number)

    def _before_the_chain(self, number: int, entry: Entry | None) -> Iterator[Finding]:
        self.older += 1
        if number < 1:
            yield Finding(Damage.ADDED, number, number)
        elif entry is None:
            yield Finding(Damage.EDITED, number, number)
        elif entry["mac"] is not None:
            yield Finding(Damage.BEFORE_THE_CHAIN, number, number)

    def _damages(self, number: int, entry: Entry | None, head: Head) -> Iterator[Damage]:
        """What is wrong with an entry of the chain. The next one has to follow its code."""
        self.checked += 1
        previous, self._previous = self._previous, None if entry is None else entry["mac"]
        if number > head.last_id:
            yield Damage.BEHIND_THE_HEAD
        if entry is None:
            yield Damage.EDITED
        elif entry["mac"] is None:
            yield Damage.ADDED
        else:
            yield from self._damages_by_code(number, entry, previous)
            if number == head.last_id and entry["mac"] != head.last_mac:
                yield Damage.NOT_THE_LAST

    def _damages_by_code(self, number: int, entry: Entry, previous: str | None) -> Iterator[Damage]:
        key = self._key(entry["key_id"])
        if key is None:
            yield Damage.UNCHECKED
            return
        content, place = halves(entry["mac"])
        if not _tells(key, entry, content):
            yield Damage.EDITED
        elif previous is not None and not is_same(
            place, place_half(key, number, content, previous)
        ):
            yield Damage.OUT_OF_PLACE
        elif entry["action"] == HEAD_DOUBTED:
            yield from self._damages_to_doubted(Head(**entry["changes"]["head"]), number, previous)

    def _damages_to_doubted(
        self, doubted: Head, number: int, previous: str | None
    ) -> Iterator[Damage]:
        """Judge anew a head that was not right to the node that wrote this entry.

        It may have been: a node that lacks another one's key can't tell.
        """
        damage = self._damage_to(doubted)
        if damage is not None:
            yield damage
        elif (doubted.last_id, doubted.last_mac) != (number - 1, previous):
            yield Damage.HEAD_EDITED

    def _key(self, key_id: str | None) -> bytes | None:
        if key_id is None:
            return None
        if key_id not in self._keys:
            try:
                self._keys[key_id] = self._vault.derive(KEY_LABEL, key_id)
            except ServiceConfigError:
                self._keys[key_id] = None
        return self._keys[key_id]


def _tells(key: bytes, entry: Entry, content: str) -> bool:
    """Whether an entry's columns are those that its code was made over."""
    try:
        return is_same(content, content_half(key, entry))
    except TypeError:
        return False


def _entries(connection: Connection) -> Iterator[tuple[int, Entry | None]]:
    """Every entry with its number, in order, a batch at a time; None for an unreadable one."""
    query = select(_ENTRIES).order_by(_ENTRIES.c.id).limit(_BATCH)
    batch = _batch(connection, query)
    while batch:
        yield from batch
        batch = _batch(connection, query.where(_ENTRIES.c.id > batch[-1][0]))


def _batch(connection: Connection, query: AnySelect) -> list[tuple[int, Entry | None]]:
    try:
        return [(row.id, _readable(row)) for row in connection.execute(query)]
    except _UNREADABLE:
        numbers = connection.scalars(query.with_only_columns(_ENTRIES.c.id)).all()
        return [(number, _entry(connection, number)) for number in numbers]


def _entry(connection: Connection, number: int) -> Entry | None:
    try:
        row = connection.execute(select(_ENTRIES).where(_ENTRIES.c.id == number)).one()
    except _UNREADABLE:
        return None
    return _readable(row)


def _readable(row: AnyRow) -> Entry | None:
    """A row's columns, unless SQLite holds something else than text where its code belongs."""
    entry = row._asdict()
    codes = (entry["mac"], entry["key_id"])
    return entry if all(code is None or isinstance(code, str) for code in codes) else None
