"""Entries that wait for the end of their transaction, which is when they join the chain.

The chain has one order, so its lock is held by one transaction at a time. Taken last, it is held
for as long as the commit takes, and nobody who has it waits for a row of somebody else.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from cms_services.audit.chain import append
from cms_services.database import begin_writing
from cms_services.encryption import current_vault
from cms_services.extensions import db

_OF_SESSION = "cms_services.audit.pending"


@dataclass
class _Pending:
    entries: list[dict[str, Any]] = field(default_factory=list)
    # How many entries there were when each savepoint was set.
    savepoints: dict[SessionTransaction, int] = field(default_factory=dict)


def add_pending(session: Session, entry: dict[str, Any]) -> None:
    """Have an entry written when the session's transaction commits, or never if it does not."""
    if not session.in_transaction():
        begin_writing(session)
    _pending_of(session).entries.append(entry)


def _pending_of(session: Session) -> _Pending:
    pending: _Pending = session.info.setdefault(_OF_SESSION, _Pending())
    return pending


# The listeners are for every session of `db`, so that no door can leave the chain out.


@event.listens_for(db.session, "before_commit")
def _write(session: Session) -> None:
    # Releasing a savepoint counts as a commit here too.
    if session.in_nested_transaction() or _OF_SESSION not in session.info:
        return
    entries = session.info.pop(_OF_SESSION).entries
    if entries:
        session.flush()
        append(session.connection(), current_vault(), entries)


@event.listens_for(db.session, "after_transaction_create")
def _note_savepoint(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        pending = _pending_of(session)
        pending.savepoints[transaction] = len(pending.entries)


@event.listens_for(db.session, "after_rollback")
def _forget_since_savepoint(session: Session) -> None:
    savepoint = session.get_nested_transaction()
    if savepoint is not None:
        pending = _pending_of(session)
        del pending.entries[pending.savepoints[savepoint] :]


@event.listens_for(db.session, "after_transaction_end")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    # However it ended: by a commit, a rollback, or a connection that broke.
    if transaction.parent is None:
        session.info.pop(_OF_SESSION, None)
