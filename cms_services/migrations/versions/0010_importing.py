"""what was taken from an old database

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op

from cms_services.database import DOCUMENT, IDENTIFIER, WORD, Moment

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "imported_rows",
        sa.Column("source", WORD, nullable=False),
        sa.Column("entity", WORD, nullable=False),
        sa.Column("source_key", IDENTIFIER, nullable=False),
        sa.Column("target_id", IDENTIFIER, nullable=False),
        sa.Column("digests", DOCUMENT, nullable=False),
        sa.Column("taken_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("source", "entity", "source_key", name=op.f("pk_imported_rows")),
    )
    op.create_table(
        "import_positions",
        sa.Column("source", WORD, nullable=False),
        sa.Column("entity", WORD, nullable=False),
        sa.Column("state", DOCUMENT, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("source", "entity", name=op.f("pk_import_positions")),
    )


def downgrade() -> None:
    op.drop_table("import_positions")
    op.drop_table("imported_rows")
