"""which code can run on the schema

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

from cms_services.database import WORD

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
# Code from before does not look at the table, and takes every later revision for too new.
oldest_compatible_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "schema_compatibility",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("oldest_revision", WORD, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_compatibility")),
    )


def downgrade() -> None:
    op.drop_table("schema_compatibility")
