"""How Alembic runs the migrations: with the application's own database and models."""

from alembic import context
from flask import current_app

import app.models  # noqa: F401 - so that their tables are known

migrate = current_app.extensions["migrate"]
with migrate.db.engine.connect() as connection:
    raw = connection.connection.driver_connection
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        # Alembic changes a table there by rebuilding it, which would delete its children's rows.
        raw.execute("PRAGMA foreign_keys = OFF")
    context.configure(
        connection=connection, target_metadata=migrate.db.metadata, **migrate.configure_args
    )
    with context.begin_transaction():
        context.run_migrations()
    if is_sqlite:
        raw.execute("PRAGMA foreign_keys = ON")
