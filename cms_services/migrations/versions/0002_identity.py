"""sign-ins, second factors, letters, ingest tokens, and the audit chain

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

from cms_services.database import DOCUMENT, IDENTIFIER, SEQUENCE, WORD, Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("totp_secret", IDENTIFIER, nullable=True))
    op.add_column("users", sa.Column("totp_confirmed_at", Moment(), nullable=True))
    op.add_column("users", sa.Column("totp_last_step", sa.BigInteger(), nullable=True))
    op.add_column("personal_tokens", sa.Column("last_used_at", Moment(), nullable=True))
    op.add_column("audit_entries", sa.Column("mac", WORD, nullable=True))
    op.add_column("audit_entries", sa.Column("key_id", WORD, nullable=True))

    # Tokens of before belong to no sign-in and are refused from now on; their holders sign in anew.
    op.drop_table("revoked_tokens")
    op.create_table(
        "user_sessions",
        sa.Column("id", WORD, nullable=False),
        sa.Column("user_id", IDENTIFIER, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("last_seen_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("refresh_id", WORD, nullable=True),
        sa.Column("address", WORD, nullable=True),
        sa.Column("user_agent", IDENTIFIER, nullable=False),
        _belongs_to("user_sessions", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_sessions")),
    )
    op.create_index(op.f("ix_user_sessions_user_id"), "user_sessions", ["user_id"])
    op.create_index(op.f("ix_user_sessions_expires_at"), "user_sessions", ["expires_at"])

    op.create_table(
        "recovery_codes",
        sa.Column("user_id", IDENTIFIER, nullable=False),
        sa.Column("code_hash", WORD, nullable=False),
        _belongs_to("recovery_codes", "user_id", "users"),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("pk_recovery_codes")),
    )

    op.create_table(
        "password_resets",
        sa.Column("token_hash", WORD, nullable=False),
        sa.Column("user_id", IDENTIFIER, nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        _belongs_to("password_resets", "user_id", "users"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_password_resets")),
    )
    op.create_index(op.f("ix_password_resets_user_id"), "password_resets", ["user_id"])
    op.create_index(op.f("ix_password_resets_expires_at"), "password_resets", ["expires_at"])

    op.create_table(
        "invitations",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("email", IDENTIFIER, nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("token_hash", WORD, nullable=True),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("email", name=op.f("uq_invitations_email")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_index(op.f("ix_invitations_expires_at"), "invitations", ["expires_at"])

    op.create_table(
        "letters",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("recipient", IDENTIFIER, nullable=False),
        sa.Column("data", DOCUMENT, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letters")),
    )
    op.create_index(op.f("ix_letters_due_at"), "letters", ["due_at"])

    op.create_table(
        "ingest_tokens",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("name", IDENTIFIER, nullable=False),
        sa.Column("token_hash", WORD, nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("last_used_at", Moment(), nullable=True),
        _belongs_to("ingest_tokens", "service_id", "services"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_ingest_tokens_token_hash")),
    )
    op.create_index(op.f("ix_ingest_tokens_service_id"), "ingest_tokens", ["service_id"])

    op.create_table(
        "audit_chain",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("began_after", SEQUENCE, nullable=False),
        sa.Column("last_id", SEQUENCE, nullable=False),
        sa.Column("last_mac", WORD, nullable=False),
        sa.Column("mac", WORD, nullable=False),
        sa.Column("key_id", WORD, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_chain")),
    )


def downgrade() -> None:
    op.drop_table("audit_chain")
    op.drop_table("ingest_tokens")
    op.drop_table("letters")
    op.drop_table("invitations")
    op.drop_table("password_resets")
    op.drop_table("recovery_codes")
    op.drop_table("user_sessions")
    op.create_table(
        "revoked_tokens",
        sa.Column("jti", WORD, nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_revoked_tokens")),
    )
    op.create_index(op.f("ix_revoked_tokens_expires_at"), "revoked_tokens", ["expires_at"])
    op.drop_column("audit_entries", "key_id")
    op.drop_column("audit_entries", "mac")
    op.drop_column("personal_tokens", "last_used_at")
    op.drop_column("users", "totp_last_step")
    op.drop_column("users", "totp_confirmed_at")
    op.drop_column("users", "totp_secret")


def _belongs_to(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{owner}.id"], name=op.f(f"fk_{table}_{column}_{owner}"), ondelete="CASCADE"
    )
