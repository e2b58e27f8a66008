"""projects show how their services stand on pages for everybody

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

from cms_services.database import IDENTIFIER, WORD, Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "status_pages",
        sa.Column("project_id", IDENTIFIER, nullable=False),
        sa.Column("slug", WORD, nullable=True),
        sa.Column("title", IDENTIFIER, nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        _belongs_to("status_pages", "project_id", "projects", "id"),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_status_pages")),
        sa.UniqueConstraint("slug", name=op.f("uq_status_pages_slug")),
    )
    op.create_table(
        "status_page_services",
        sa.Column("project_id", IDENTIFIER, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("badge_key", WORD, nullable=False),
        sa.Column("name", IDENTIFIER, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        _belongs_to("status_page_services", "project_id", "status_pages", "project_id"),
        _belongs_to("status_page_services", "service_id", "services", "id"),
        sa.PrimaryKeyConstraint("project_id", "service_id", name=op.f("pk_status_page_services")),
        sa.UniqueConstraint(
            "project_id", "badge_key", name=op.f("uq_status_page_services_project_id_badge_key")
        ),
    )
    op.create_index(
        op.f("ix_status_page_services_service_id"), "status_page_services", ["service_id"]
    )


def downgrade() -> None:
    op.drop_table("status_page_services")
    op.drop_table("status_pages")


def _belongs_to(table: str, column: str, other: str, other_column: str) -> sa.Constraint:
    return sa.ForeignKeyConstraint(
        [column],
        [f"{other}.{other_column}"],
        name=op.f(f"fk_{table}_{column}_{other}"),
        ondelete="CASCADE",
    )
