"""what configurations change and take from other services, and one-time download links

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

from cms_services.database import DOCUMENT, IDENTIFIER, WORD, Moment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("service_config_versions", sa.Column("changes", DOCUMENT, nullable=True))

    op.create_table(
        "service_references",
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("variable", IDENTIFIER, nullable=False),
        sa.Column("written", IDENTIFIER, nullable=False),
        sa.Column("target_id", IDENTIFIER, nullable=False),
        sa.Column("export", IDENTIFIER, nullable=False),
        _belongs_to("service_references", "service_id", "services"),
        _belongs_to("service_references", "target_id", "services"),
        sa.PrimaryKeyConstraint("service_id", "position", name=op.f("pk_service_references")),
    )
    op.create_index(op.f("ix_service_references_target_id"), "service_references", ["target_id"])

    op.create_table(
        "download_links",
        sa.Column("token_hash", WORD, nullable=False),
        sa.Column("user_id", IDENTIFIER, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("bundle", WORD, nullable=False),
        sa.Column("format", WORD, nullable=False),
        sa.Column("with_secrets", sa.Boolean(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        _belongs_to("download_links", "user_id", "users"),
        _belongs_to("download_links", "service_id", "services"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_download_links")),
    )
    op.create_index(op.f("ix_download_links_user_id"), "download_links", ["user_id"])
    op.create_index(op.f("ix_download_links_service_id"), "download_links", ["service_id"])
    op.create_index(op.f("ix_download_links_expires_at"), "download_links", ["expires_at"])


def downgrade() -> None:
    op.drop_table("download_links")
    op.drop_table("service_references")
    op.drop_column("service_config_versions", "changes")


def _belongs_to(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{owner}.id"], name=op.f(f"fk_{table}_{column}_{owner}"), ondelete="CASCADE"
    )
