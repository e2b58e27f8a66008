"""The chain of audit entries: the one place where entries are written.

Entries get their numbers and codes under the lock of the head, so that there is one order without
gaps. What the chain proves, and what it can't, stands in docs/audit.md.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Insert, func, insert, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from cms_services.actor import SYSTEM
from cms_services.audit.codes import entry_code, head_code, is_same
from cms_services.audit.models import AuditChain, AuditEntry
from cms_services.clock import now
from cms_services.encryption import Vault
from cms_services.errors import ServiceConfigError

log = structlog.get_logger()

KEY_LABEL = "cms-services audit"
# The entry that is written where the head was not right, so that this is never forgotten.
HEAD_DOUBTED = "audit.head_doubted"

_ENTRIES, _CHAIN = AuditEntry.__table__, AuditChain.__table__
_HEAD = select(
    _CHAIN.c.began_after, _CHAIN.c.last_id, _CHAIN.c.last_mac, _CHAIN.c.mac, _CHAIN.c.key_id
).where(_CHAIN.c.id == 1)
_LOCKED_HEAD = _HEAD.with_for_update()
_MOVE_HEAD = update(AuditChain).where(_CHAIN.c.id == 1)


class ChainBlocked(Exception):
    """An entry stands where the next one belongs, so that nothing can be written any more."""


@dataclass(frozen=True)
class Head:
    """The end of the chain, and the last entry that is older than it. Unsigned without `mac`."""

    began_after: int
    last_id: int
    last_mac: str
    mac: str = ""
    key_id: str = ""

    def __str__(self) -> str:
        return f"{self.last_id}:{self.last_mac}"

    def code(self, vault: Vault) -> str:
        """What `mac` should be. Raises ServiceConfigError where its key is not configured."""
        key = vault.derive(KEY_LABEL, self.key_id)
        return head_code(key, self.began_after, self.last_id, self.last_mac)

    def is_right(self, vault: Vault) -> bool:
        """Whether we signed it. Raises ServiceConfigError where its key is not configured."""
        return self.mac != "" and is_same(self.mac, self.code(vault))


def read_head(connection: Connection) -> Head | None:
    """The head as it is stored, right or not; None before the first entry."""
    row = connection.execute(_HEAD).first()
    return None if row is None else Head(*row)


def append(connection: Connection, vault: Vault, entries: Sequence[dict[str, Any]]) -> None:
    """Write entries, which have all columns but `id`, `mac` and `key_id`, and move the head.

    Holds the lock of the head until the transaction ends, so call it last. Raises ChainBlocked.
    """
    key_id = vault.key_id
    key = vault.derive(KEY_LABEL, key_id)
    stored = _lock_head(connection)
    head, doubt = _trusted(connection, vault, stored)
    number, code = head.last_id, head.last_mac
    rows = []
    for entry in (*doubt, *entries):
        number += 1
        row = entry | {"id": number, "key_id": key_id}
        row["mac"] = code = entry_code(key, row, code)
        rows.append(row)
    try:
        connection.execute(insert(AuditEntry), rows)
    except IntegrityError as error:
        raise ChainBlocked(
            f"One of the audit entries {head.last_id + 1} to {number} is there already, and not "
            "from us. Run: cms-services audit verify"
        ) from error
    mac = head_code(key, head.began_after, number, code)
    moved = {"began_after": head.began_after, "last_id": number, "last_mac": code}
    connection.execute(_MOVE_HEAD, moved | {"mac": mac, "key_id": key_id})


def head_by_entries(connection: Connection) -> Head:
    """Where the chain begins and ends going by the entries alone, for want of a head to trust."""
    entries = _ENTRIES.c
    query = select(entries.id, entries.mac).order_by(entries.id.desc()).limit(1)
    last = connection.execute(query).first()
    if last is None:
        return Head(0, 0, "")
    first_id = connection.scalar(select(func.min(entries.id)).where(entries.mac.is_not(None)))
    began_after = last.id if first_id is None else first_id - 1
    return Head(began_after, last.id, last.mac or "")


def _lock_head(connection: Connection) -> Head:
    row = connection.execute(_LOCKED_HEAD).first()
    if row is None:
        connection.execute(_insert_unsigned(connection.dialect.name))
        row = connection.execute(_LOCKED_HEAD).one()
    return Head(*row)


def _insert_unsigned(dialect: str) -> Insert:
    """Make the row of the head; where somebody else just did, wait for them and go on."""
    unsigned = {"id": 1} | asdict(Head(0, 0, ""))
    if dialect == "mysql":
        # Not INSERT IGNORE: it shares the lock, and two that share it wait for each other.
        return mysql.insert(AuditChain).values(unsigned).on_duplicate_key_update(id=1)
    dialect_insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return dialect_insert(AuditChain).values(unsigned).on_conflict_do_nothing()


def _trusted(
    connection: Connection, vault: Vault, stored: Head
) -> tuple[Head, tuple[dict[str, Any], ...]]:
    """The head to go on from, and the entry that tells of a stored one that is not right.

    To sign a head that somebody edited would hide that. To refuse would stop all changes, also
    where nothing but a key was lost. So we go on from the entries, and keep the head for verify.
    """
    try:
        if stored.is_right(vault):
            return stored, ()
    except ServiceConfigError:
        log.warning("the key of the audit chain's head is not configured", key=stored.key_id)
    found = head_by_entries(connection)
    if stored.mac == "" and found.began_after == found.last_id:
        if found.last_id:
            log.warning("the audit chain begins behind older entries", after=found.last_id)
        return found, ()
    log.error("the head of the audit chain is not right", stored=str(stored), by_entries=str(found))
    return found, (_entry_of_doubt(stored, found),)


def _entry_of_doubt(stored: Head, found: Head) -> dict[str, Any]:
    return {
        "at": now(),
        "action": HEAD_DOUBTED,
        "actor_id": None,
        "actor_name": SYSTEM.name,
        "target_type": "audit_chain",
        "target_id": str(found.last_id),
        "owner_id": None,
        "changes": {"head": asdict(stored)},
        "request_id": None,
        "address": None,
    }
