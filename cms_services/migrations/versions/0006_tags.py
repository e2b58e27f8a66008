"""services have tags, by which lists are narrowed

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

from cms_services.database import IDENTIFIER, bounded_text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "service_tags",
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("tag", bounded_text(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["services.id"],
            name=op.f("fk_service_tags_service_id_services"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("service_id", "tag", name=op.f("pk_service_tags")),
    )
    op.create_index("ix_service_tags_tag", "service_tags", ["tag", "service_id"])


def downgrade() -> None:
    op.drop_table("service_tags")
