"""what the checks of a service say now stands in columns, in maintenance too

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

from cms_services.database import WORD, Moment

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("monitored_services") as table:
        table.add_column(sa.Column("health", WORD, nullable=False, server_default="unknown"))
        table.add_column(sa.Column("health_until", Moment, nullable=True))
    # Of those in maintenance the next run of their checks tells.
    op.execute(
        "UPDATE monitored_services SET health = status, health_until = known_until"
        " WHERE status <> 'maintenance'"
    )


def downgrade() -> None:
    with op.batch_alter_table("monitored_services") as table:
        table.drop_column("health_until")
        table.drop_column("health")
