"""who calls services.php still, by day and action

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

from cms_services.database import IDENTIFIER, WORD, Moment

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "legacy_clients",
        sa.Column("id", WORD, nullable=False),
        sa.Column("user_id", IDENTIFIER, nullable=True),
        sa.Column("address", WORD, nullable=False),
        sa.Column("agent", WORD, nullable=False),
        sa.Column("site", IDENTIFIER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legacy_clients")),
    )
    op.create_table(
        "legacy_calls",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("client_id", WORD, nullable=False),
        sa.Column("action", WORD, nullable=False),
        sa.Column("side", WORD, nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["legacy_clients.id"],
            name=op.f("fk_legacy_calls_client_id_legacy_clients"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("day", "client_id", "action", "side", name=op.f("pk_legacy_calls")),
    )
    op.create_index(op.f("ix_legacy_calls_client_id"), "legacy_calls", ["client_id"])


def downgrade() -> None:
    op.drop_table("legacy_calls")
    op.drop_table("legacy_clients")
