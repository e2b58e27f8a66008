"""Log entries, the blocks that searching finds them by, and how much of them each service has."""

from datetime import datetime
from typing import Any

from sqlalchemy import DDL, BigInteger, ForeignKey, Index, Integer, UniqueConstraint, event
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.database import DOCUMENT, IDENTIFIER, LONG_TEXT, SEQUENCE, WORD, Moment
from cms_services.extensions import Model


class LogEntry(Model):
    __tablename__ = "log_entries"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE")
    )
    # The sender's own id of the entry: a repeated batch adds nothing.
    client_id: Mapped[str | None] = mapped_column(IDENTIFIER)
    at: Mapped[datetime] = mapped_column(Moment)
    level: Mapped[str] = mapped_column(WORD)
    message: Mapped[str] = mapped_column(LONG_TEXT)
    source: Mapped[str] = mapped_column(IDENTIFIER, default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(DOCUMENT, default=dict)
    trace_id: Mapped[str | None] = mapped_column(WORD)
    # What it is found by; terms.py says how.
    terms: Mapped[str | None] = mapped_column(LONG_TEXT, default="")
    # In bytes, of what the sender gave.
    size: Mapped[int] = mapped_column(Integer, server_default="0")

    __table_args__ = (
        Index("ix_log_entries_newest", "service_id", "at", "id"),
        Index("ix_log_entries_level", "service_id", "level", "at", "id"),
        Index("ix_log_entries_trace", "service_id", "trace_id", "at"),
        UniqueConstraint("service_id", "client_id"),
    )


class LogBlock(Model):
    """Entries that were stored together, and each of their terms once.

    The full-text index is over these: it is a small part of one over every entry, so that
    writing it costs little, and reading a whole block costs little too. Entries with ids in between
    may belong to other blocks.
    """

    __tablename__ = "log_blocks"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE")
    )
    first_id: Mapped[int] = mapped_column(BigInteger)
    last_id: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime] = mapped_column(Moment)
    last_at: Mapped[datetime] = mapped_column(Moment)
    terms: Mapped[str] = mapped_column(LONG_TEXT)

    __table_args__ = (Index("ix_log_blocks_newest", "service_id", "last_at", "id"),)


class LogVolume(Model):
    """How many entries of a level a service has of one hour, and their size in bytes.

    The hour begins at `start`, in seconds since 1970.
    """

    __tablename__ = "log_volumes"

    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE"), primary_key=True
    )
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    level: Mapped[str] = mapped_column(WORD, primary_key=True)
    entries: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)


# The index of a block's terms, which each database makes its own way and keeps by itself. Terms are
# ASCII with blanks in between, so none of its own rules for words comes into play. The table
# of SQLite has no copy of them, and says only which blocks have a term. PostgreSQL's planner takes
# making a vector for as cheap as a comparison, and would make one of each block, but for the cost
# that its function states here.
FULL_TEXT_INDEX: dict[str, tuple[str, ...]] = {
    "sqlite": (
        "CREATE VIRTUAL TABLE log_block_terms USING fts5(terms, content='log_blocks',"
        " content_rowid='id', tokenize=\"ascii tokenchars '_'\", detail=none, columnsize=0)",
        "CREATE TRIGGER log_block_is_new AFTER INSERT ON log_blocks BEGIN"
        " INSERT INTO log_block_terms(rowid, terms) VALUES (new.id, new.terms); END",
        "CREATE TRIGGER log_block_is_gone AFTER DELETE ON log_blocks BEGIN"
        " INSERT INTO log_block_terms(log_block_terms, rowid, terms)"
        " VALUES ('delete', old.id, old.terms); END",
    ),
    "postgresql": (
        "CREATE FUNCTION terms_vector(terms text) RETURNS tsvector LANGUAGE plpgsql"
        " IMMUTABLE STRICT PARALLEL SAFE COST 10000"
        " AS 'BEGIN RETURN array_to_tsvector(string_to_array(terms, '' '')); END'",
        "CREATE INDEX ix_log_blocks_terms ON log_blocks USING gin (terms_vector(terms))",
    ),
    "mysql": ("CREATE FULLTEXT INDEX ix_log_blocks_terms ON log_blocks (terms)",),
}

for _dialect, _statements in FULL_TEXT_INDEX.items():
    for _statement in _statements:
        _ddl = DDL(_statement).execute_if(dialect=_dialect)  # type: ignore[no-untyped-call]
        event.listen(LogBlock.__table__, "after_create", _ddl)
for _dialect, _moment, _statement in (
    ("sqlite", "before_drop", "DROP TABLE log_block_terms"),
    ("postgresql", "after_drop", "DROP FUNCTION terms_vector(text)"),
):
    _ddl = DDL(_statement).execute_if(dialect=_dialect)  # type: ignore[no-untyped-call]
    event.listen(LogBlock.__table__, _moment, _ddl)
