"""log entries are found by their terms, in blocks that a full-text index is over

Revision: 0005, after 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from cms_services.database import DOCUMENT, IDENTIFIER, LONG_TEXT, SEQUENCE, WORD, Moment
from cms_services.migrations.log_terms_of_0005 import block_terms, blocks_of, terms_of

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BATCH = 250
_HOUR = 3600
_FULL_TEXT_INDEX = {
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

_ENTRIES = sa.table(
    "log_entries",
    sa.column("id", SEQUENCE),
    sa.column("service_id", IDENTIFIER),
    sa.column("at", Moment()),
    sa.column("level", WORD),
    sa.column("message", LONG_TEXT),
    sa.column("source", IDENTIFIER),
    sa.column("attributes", DOCUMENT),
    sa.column("terms", LONG_TEXT),
    sa.column("size", sa.Integer()),
)
_BLOCKS = sa.table(
    "log_blocks",
    sa.column("service_id", IDENTIFIER),
    sa.column("first_id", sa.BigInteger()),
    sa.column("last_id", sa.BigInteger()),
    sa.column("first_at", Moment()),
    sa.column("last_at", Moment()),
    sa.column("terms", LONG_TEXT),
)
_VOLUMES = sa.table(
    "log_volumes",
    sa.column("service_id", IDENTIFIER),
    sa.column("start", sa.BigInteger()),
    sa.column("level", WORD),
    sa.column("entries", sa.BigInteger()),
    sa.column("size", sa.BigInteger()),
)


def upgrade() -> None:
    op.add_column("log_entries", sa.Column("terms", LONG_TEXT, nullable=True))
    op.add_column(
        "log_entries", sa.Column("size", sa.Integer(), server_default="0", nullable=False)
    )
    op.create_table(
        "log_blocks",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("first_at", Moment(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.Column("terms", LONG_TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["services.id"],
            name=op.f("fk_log_blocks_service_id_services"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_blocks")),
    )
    op.create_index("ix_log_blocks_newest", "log_blocks", ["service_id", "last_at", "id"])
    for statement in _FULL_TEXT_INDEX[op.get_bind().dialect.name]:
        op.execute(statement)
    _describe_entries()


def _describe_entries() -> None:
    """Give the entries that are there their terms, blocks and volumes."""
    connection = op.get_bind()
    connection.execute(sa.delete(_VOLUMES))
    for (service_id,) in connection.execute(sa.select(_ENTRIES.c.service_id).distinct()).all():
        after = 0
        volumes: dict[tuple[int, str], list[int]] = {}
        while True:
            rows = connection.execute(
                sa.select(_ENTRIES)
                .where(_ENTRIES.c.service_id == service_id, _ENTRIES.c.id > after)
                .order_by(_ENTRIES.c.id)
                .limit(_BATCH)
            ).all()
            if not rows:
                break
            described = [_described(row) for row in rows]
            for block in blocks_of(described):
                _describe_block(connection, service_id, block)
            for row in described:
                start = int(row["at"].timestamp()) // _HOUR * _HOUR
                numbers = volumes.setdefault((start, row["level"]), [0, 0])
                numbers[0] += 1
                numbers[1] += row["size"]
            after = rows[-1].id
        connection.execute(
            sa.insert(_VOLUMES),
            [
                {"service_id": service_id, "start": start, "level": level}
                | {"entries": entries, "size": size}
                for (start, level), (entries, size) in sorted(volumes.items())
            ],
        )


def _described(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": row.at,
        "level": row.level,
        "terms": terms_of(row.message, row.attributes or {}),
        "size": len(row.message.encode()) + len(row.source.encode()),
    }


def _describe_block(connection: sa.Connection, service_id: str, rows: list[dict[str, Any]]) -> None:
    connection.execute(
        sa.update(_ENTRIES)
        .where(_ENTRIES.c.id == sa.bindparam("number"))
        .values(terms=sa.bindparam("told"), size=sa.bindparam("bytes")),
        [{"number": row["id"], "told": row["terms"], "bytes": row["size"]} for row in rows],
    )
    moments = [row["at"] for row in rows]
    block = {
        "service_id": service_id,
        "first_id": rows[0]["id"],
        "last_id": rows[-1]["id"],
        "first_at": min(moments),
        "last_at": max(moments),
        "terms": block_terms(service_id, (row["terms"] for row in rows)),
    }
    connection.execute(sa.insert(_BLOCKS), block)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE log_block_terms")
    op.drop_table("log_blocks")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION terms_vector(text)")
    op.drop_column("log_entries", "size")
    op.drop_column("log_entries", "terms")
