"""Writing audit entries, spoiling them behind the application's back, and verifying them."""

from collections.abc import Iterable
from typing import Any

from flask import Flask
from sqlalchemy import func, insert, select, update
from sqlalchemy.sql import Executable

from cms_services.actor import SYSTEM, Actor
from cms_services.audit.models import AuditChain, AuditEntry
from cms_services.audit.trail import record
from cms_services.audit.verification import Finding, Verification, unmoving_view
from cms_services.encryption import current_vault
from cms_services.extensions import db
from cms_services.vocabulary import EventType, Role

ENTRIES = AuditEntry.__table__
CHAIN = AuditChain.__table__
SOMEBODY = Actor("u1", Role.USER, "Zoë 🦊", request_id="r-1", address="203.0.113.7")
# What a document may hold that databases and JSON libraries like to change.
CHANGES: dict[str, Any] = {
    "before": [1, 1.0, -0.0, 1e300, 2**53 + 1, None, True],
    "after": {"ü": "é 🦊", "a": {"z": 1, "y": ""}},
}


def note(number: int = 1, actor: Actor = SOMEBODY, **changes: Any) -> None:
    """Add entries to the transaction that is under way, or to a new one."""
    for each in range(number):
        record(actor, EventType.USER_UPDATED, "user", f"t{each}", "owner", CHANGES | changes)


def write(app: Flask, number: int = 1, **changes: Any) -> None:
    """Write entries, each in a transaction of its own."""
    with app.app_context():
        for _ in range(number):
            note(actor=SYSTEM, **changes)
            db.session.commit()


def spoil(app: Flask, *statements: Executable) -> None:
    """Do to the tables what somebody with the database's password can."""
    with app.app_context(), db.engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def set_entry(number: int, **columns: Any) -> Executable:
    return update(ENTRIES).where(ENTRIES.c.id == number).values(columns)


def add_entry(app: Flask, like: int, **columns: Any) -> None:
    """Insert a copy of an entry with other columns."""
    spoil(app, insert(ENTRIES).values(entry(app, like) | columns))


def entry(app: Flask, number: int) -> dict[str, Any]:
    with app.app_context():
        query = select(ENTRIES).where(ENTRIES.c.id == number)
        return db.session.execute(query).one()._asdict()


def numbers(app: Flask) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(select(ENTRIES.c.id).order_by(ENTRIES.c.id)))


def count_entries(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(ENTRIES)) or 0


def verified(
    app: Flask, noted: Iterable[tuple[int, str]] = ()
) -> tuple[list[Finding], Verification]:
    """What verify finds, and the walk with its counts."""
    with app.app_context(), unmoving_view() as connection:
        verification = Verification(connection, current_vault(), noted)
        return list(verification.findings()), verification


def damages(app: Flask, noted: Iterable[tuple[int, str]] = ()) -> list[tuple[str, int, int]]:
    """What verify finds: the name of each damage, and its first and last entry."""
    findings, _ = verified(app, noted)
    return [(each.damage.name, each.first_id, each.last_id) for each in findings]
