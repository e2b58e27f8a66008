"""first schema

Revision: 0001, the first
"""

import sqlalchemy as sa
from alembic import op

from cms_services.database import (
    DOCUMENT,
    IDENTIFIER,
    LONG_TEXT,
    SEQUENCE,
    WORD,
    Moment,
    bounded_text,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("action", WORD, nullable=False),
        sa.Column("actor_id", IDENTIFIER, nullable=True),
        sa.Column("actor_name", IDENTIFIER, nullable=False),
        sa.Column("target_type", WORD, nullable=False),
        sa.Column("target_id", IDENTIFIER, nullable=False),
        sa.Column("owner_id", IDENTIFIER, nullable=True),
        sa.Column("changes", DOCUMENT, nullable=False),
        sa.Column("request_id", IDENTIFIER, nullable=True),
        sa.Column("address", WORD, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_actor", "audit_entries", ["actor_id", "id"])
    op.create_index("ix_audit_entries_owner", "audit_entries", ["owner_id", "id"])
    op.create_index("ix_audit_entries_target", "audit_entries", ["target_id", "id"])

    op.create_table(
        "events",
        sa.Column("sequence", SEQUENCE, nullable=False),
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("type", WORD, nullable=False),
        sa.Column("subject", IDENTIFIER, nullable=False),
        sa.Column("owner_id", IDENTIFIER, nullable=True),
        sa.Column("data", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_events")),
        sa.UniqueConstraint("id", name=op.f("uq_events_id")),
    )
    op.create_index("ix_events_owner", "events", ["owner_id", "sequence"])
    op.create_index("ix_events_subject", "events", ["subject", "sequence"])

    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", IDENTIFIER, nullable=False),
        sa.Column("key", IDENTIFIER, nullable=False),
        sa.Column("fingerprint", WORD, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", DOCUMENT, nullable=False),
        sa.Column("body", LONG_TEXT, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])

    op.create_table(
        "job_claims",
        sa.Column("job", WORD, nullable=False),
        sa.Column("period_start", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("job", "period_start", name=op.f("pk_job_claims")),
    )
    op.create_table(
        "projects",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("name", IDENTIFIER, nullable=False),
        sa.Column("description", LONG_TEXT, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("name", name=op.f("uq_projects_name")),
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("jti", WORD, nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_revoked_tokens")),
    )
    op.create_index(op.f("ix_revoked_tokens_expires_at"), "revoked_tokens", ["expires_at"])

    op.create_table(
        "users",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("email", IDENTIFIER, nullable=False),
        sa.Column("name", IDENTIFIER, nullable=False),
        sa.Column("password_hash", IDENTIFIER, nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "personal_tokens",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("user_id", IDENTIFIER, nullable=False),
        sa.Column("name", IDENTIFIER, nullable=False),
        sa.Column("token_hash", WORD, nullable=False),
        sa.Column("scopes", DOCUMENT, nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_personal_tokens_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_personal_tokens_token_hash")),
    )
    op.create_index(op.f("ix_personal_tokens_user_id"), "personal_tokens", ["user_id"])

    op.create_table(
        "project_members",
        sa.Column("project_id", IDENTIFIER, nullable=False),
        sa.Column("user_id", IDENTIFIER, nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_project_members_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_project_members_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "user_id", name=op.f("pk_project_members")),
    )
    op.create_index(op.f("ix_project_members_user_id"), "project_members", ["user_id"])

    op.create_table(
        "services",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("user_id", IDENTIFIER, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("billing_id", IDENTIFIER, nullable=True),
        sa.Column("cluster_id", IDENTIFIER, nullable=True),
        sa.Column("project_id", IDENTIFIER, nullable=True),
        sa.Column("name", IDENTIFIER, nullable=False),
        sa.Column("description", LONG_TEXT, nullable=False),
        sa.Column("icon", IDENTIFIER, nullable=False),
        sa.Column("type", WORD, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("template", WORD, nullable=True),
        sa.Column("endpoints", DOCUMENT, nullable=False),
        sa.Column("dependencies", DOCUMENT, nullable=False),
        sa.Column("config", DOCUMENT, nullable=False),
        sa.Column("start_date", Moment(), nullable=False),
        sa.Column("next_billing_date", Moment(), nullable=True),
        sa.Column("cancelled_at", Moment(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.CheckConstraint(
            "status IN ('active', 'inactive', 'maintenance', 'suspended', 'cancelled')",
            name=op.f("ck_services_status"),
        ),
        sa.CheckConstraint(
            "type IN ('api', 'data', 'integration', 'utility', 'hosting', 'kubernetes', 'database', 'domain', 'vps', 'cloud')",
            name=op.f("ck_services_type"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_services_project_id_projects")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_services_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
        sa.UniqueConstraint("service_id", name=op.f("uq_services_service_id")),
    )
    op.create_index("idx_service_type", "services", ["type"])
    op.create_index("idx_user_status", "services", ["user_id", "status"])
    op.create_index(op.f("ix_services_billing_id"), "services", ["billing_id"])
    op.create_index(op.f("ix_services_cancelled_at"), "services", ["cancelled_at"])
    op.create_index(op.f("ix_services_cluster_id"), "services", ["cluster_id"])
    op.create_index(op.f("ix_services_project_id"), "services", ["project_id"])

    op.create_table(
        "health_reports",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("checked_at", Moment(), nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("response_time_ms", sa.Double(), nullable=True),
        sa.Column("checks", DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["services.id"],
            name=op.f("fk_health_reports_service_id_services"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_reports")),
    )
    op.create_index("ix_health_reports_service", "health_reports", ["service_id", "checked_at"])
    op.create_index(op.f("ix_health_reports_checked_at"), "health_reports", ["checked_at"])

    op.create_table(
        "log_entries",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("client_id", IDENTIFIER, nullable=True),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("level", WORD, nullable=False),
        sa.Column("message", LONG_TEXT, nullable=False),
        sa.Column("source", IDENTIFIER, nullable=False),
        sa.Column("attributes", DOCUMENT, nullable=False),
        sa.Column("trace_id", WORD, nullable=True),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["services.id"],
            name=op.f("fk_log_entries_service_id_services"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_entries")),
        sa.UniqueConstraint(
            "service_id", "client_id", name=op.f("uq_log_entries_service_id_client_id")
        ),
    )
    op.create_index(op.f("ix_log_entries_at"), "log_entries", ["at"])
    op.create_index("ix_log_entries_newest", "log_entries", ["service_id", "at", "id"])

    op.create_table(
        "metric_samples",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("name", bounded_text(100), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("labels", DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["services.id"],
            name=op.f("fk_metric_samples_service_id_services"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_samples")),
    )
    op.create_index(op.f("ix_metric_samples_at"), "metric_samples", ["at"])
    op.create_index("ix_metric_samples_series", "metric_samples", ["service_id", "name", "at"])

    op.create_table(
        "service_config_versions",
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.Column("author_id", IDENTIFIER, nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["services.id"],
            name=op.f("fk_service_config_versions_service_id_services"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("service_id", "number", name=op.f("pk_service_config_versions")),
    )


def downgrade() -> None:
    op.drop_table("service_config_versions")

    op.drop_table("metric_samples")

    op.drop_table("log_entries")

    op.drop_table("health_reports")

    op.drop_table("services")

    op.drop_table("project_members")

    op.drop_table("personal_tokens")
    op.drop_table("users")

    op.drop_table("revoked_tokens")
    op.drop_table("projects")
    op.drop_table("job_claims")

    op.drop_table("idempotency_keys")

    op.drop_table("events")

    op.drop_table("audit_entries")
