"""health that is checked by workers, metrics that are rolled up, logs by level and trace

Revision: 0004, after 0003
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

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
from cms_services.migrations.rollups_of_0004 import RollUps

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _upgrade_health()
    _upgrade_metrics()
    _upgrade_logs()


def _upgrade_health() -> None:
    op.create_table(
        "monitored_services",
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("seen_version", sa.Integer(), nullable=False),
        sa.Column("service_status", WORD, nullable=False),
        sa.Column("checks", DOCUMENT, nullable=False),
        sa.Column("states", DOCUMENT, nullable=False),
        sa.Column("due_at", Moment(), nullable=True),
        sa.Column("lease_holder", WORD, nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("status", WORD, nullable=False),
        sa.Column("since", Moment(), nullable=True),
        sa.Column("known_until", Moment(), nullable=True),
        sa.Column("checked_at", Moment(), nullable=True),
        sa.Column("response_time_ms", sa.Double(), nullable=True),
        _belongs_to("monitored_services", "service_id", "services"),
        sa.PrimaryKeyConstraint("service_id", name=op.f("pk_monitored_services")),
    )
    op.create_index(op.f("ix_monitored_services_due_at"), "monitored_services", ["due_at"])
    op.create_table(
        "health_periods",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=False),
        _belongs_to("health_periods", "service_id", "services"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_periods")),
    )
    op.create_index(op.f("ix_health_periods_ended_at"), "health_periods", ["ended_at"])
    op.create_index("ix_health_periods_service", "health_periods", ["service_id", "ended_at"])
    op.create_table(
        "health_changes",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("check_name", IDENTIFIER, nullable=False),
        sa.Column("status_before", WORD, nullable=False),
        sa.Column("status_after", WORD, nullable=False),
        sa.Column("cause", LONG_TEXT, nullable=False),
        sa.Column("details", DOCUMENT, nullable=False),
        _belongs_to("health_changes", "service_id", "services"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_changes")),
    )
    op.create_index(op.f("ix_health_changes_at"), "health_changes", ["at"])
    op.create_index("ix_health_changes_service", "health_changes", ["service_id", "at", "id"])
    op.create_table(
        "check_hours",
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("check_name", IDENTIFIER, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("total_ms", sa.Double(), nullable=False),
        sa.Column("longest_ms", sa.Double(), nullable=False),
        _belongs_to("check_hours", "service_id", "services"),
        sa.PrimaryKeyConstraint("service_id", "check_name", "start", name=op.f("pk_check_hours")),
    )
    op.create_index("ix_check_hours_start", "check_hours", ["start"])
    op.create_table(
        "heartbeats",
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("check_name", IDENTIFIER, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("message", LONG_TEXT, nullable=False),
        sa.Column("duration_ms", sa.Double(), nullable=True),
        _belongs_to("heartbeats", "service_id", "services"),
        sa.PrimaryKeyConstraint("service_id", "check_name", name=op.f("pk_heartbeats")),
    )


def _upgrade_metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("name", bounded_text(100), nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        _belongs_to("metrics", "service_id", "services"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metrics")),
        sa.UniqueConstraint("service_id", "name", name=op.f("uq_metrics_service_id_name")),
    )
    op.create_table(
        "metric_series",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("metric_id", SEQUENCE, nullable=False),
        sa.Column("labels_hash", WORD, nullable=False),
        sa.Column("labels", DOCUMENT, nullable=False),
        sa.Column("last_at", Moment(), nullable=True),
        sa.Column("last_value", sa.Double(), nullable=True),
        sa.Column("last_state", DOCUMENT, nullable=True),
        _belongs_to("metric_series", "metric_id", "metrics"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_series")),
        sa.UniqueConstraint(
            "metric_id", "labels_hash", name=op.f("uq_metric_series_metric_id_labels_hash")
        ),
    )
    op.create_table(
        "metric_points",
        sa.Column("id", SEQUENCE, nullable=False),
        sa.Column("series_id", SEQUENCE, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        _belongs_to("metric_points", "series_id", "metric_series"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_points")),
    )
    op.create_index(op.f("ix_metric_points_at"), "metric_points", ["at"])
    op.create_index("ix_metric_points_series", "metric_points", ["series_id", "at"])
    op.create_table(
        "metric_rollups",
        sa.Column("metric_id", SEQUENCE, autoincrement=False, nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Double(), nullable=False),
        sa.Column("total", sa.Double(), nullable=False),
        sa.Column("least", sa.Double(), nullable=False),
        sa.Column("most", sa.Double(), nullable=False),
        sa.Column("last", sa.Double(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.Column("sketch", sa.LargeBinary(), nullable=False),
        _belongs_to("metric_rollups", "metric_id", "metrics"),
        sa.PrimaryKeyConstraint("metric_id", "step", "start", name=op.f("pk_metric_rollups")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_metric_rollups_start", "metric_rollups", ["step", "start"])
    _carry_samples_over(op.get_bind())
    op.drop_table("metric_samples")


def _carry_samples_over(connection: sa.Connection) -> None:
    """Roll all samples up, and keep those of the last 48 hours as they are.

    Until now labels told no series apart, and requests and errors alone were counts.
    """
    names = sa.select(_SAMPLES.c.service_id, _SAMPLES.c.name).distinct()
    recent = datetime.now(UTC) - timedelta(hours=48)
    for service_id, name in connection.execute(names.order_by("service_id", "name")).all():
        metric_id = _new_metric(connection, service_id, name)
        series_id = _new_series(connection, metric_id)
        of_metric = (_SAMPLES.c.service_id == service_id) & (_SAMPLES.c.name == name)
        last: Any = None
        roll_ups = RollUps()
        while rows := _next_samples(connection, of_metric, last):
            last = rows[-1]
            for row in rows:
                roll_ups.add(row.at, row.value)
            points = [
                {"series_id": series_id, "at": row.at, "value": row.value}
                for row in rows
                if row.at >= recent
            ]
            if points:
                connection.execute(sa.insert(_POINTS), points)
        rows_of_buckets = [{"metric_id": metric_id} | row for row in roll_ups.rows()]
        for begin in range(0, len(rows_of_buckets), _ROLLUPS_AT_ONCE):
            some = rows_of_buckets[begin : begin + _ROLLUPS_AT_ONCE]
            connection.execute(sa.insert(_ROLLUPS), some)
        there = sa.update(_SERIES).where(_SERIES.c.id == series_id)
        connection.execute(there.values(last_at=last.at, last_value=last.value))


def _next_samples(connection: sa.Connection, of_metric: Any, last: Any) -> Sequence[Any]:
    """The samples of a metric after the `last` one, in order of time."""
    query = sa.select(_SAMPLES.c.id, _SAMPLES.c.at, _SAMPLES.c.value).where(of_metric)
    if last is not None:
        same = (_SAMPLES.c.at == last.at) & (_SAMPLES.c.id > last.id)
        query = query.where((_SAMPLES.c.at > last.at) | same)
    query = query.order_by(_SAMPLES.c.at, _SAMPLES.c.id).limit(_SAMPLES_AT_ONCE)
    return connection.execute(query).all()


def _new_metric(connection: sa.Connection, service_id: str, name: str) -> int:
    kind = "count" if name in ("requests", "errors") else "gauge"
    row = {"service_id": service_id, "name": name, "kind": kind, "created_at": datetime.now(UTC)}
    connection.execute(sa.insert(_METRICS).values(row))
    mine = (_METRICS.c.service_id == service_id) & (_METRICS.c.name == name)
    return int(connection.execute(sa.select(_METRICS.c.id).where(mine)).scalar_one())


def _new_series(connection: sa.Connection, metric_id: int) -> int:
    row = {"metric_id": metric_id, "labels_hash": "", "labels": {}}
    connection.execute(sa.insert(_SERIES).values(row))
    mine = _SERIES.c.metric_id == metric_id
    return int(connection.execute(sa.select(_SERIES.c.id).where(mine)).scalar_one())


_SAMPLES_AT_ONCE = 20_000
_ROLLUPS_AT_ONCE = 1000
_SAMPLES = sa.table(
    "metric_samples",
    sa.column("id", SEQUENCE),
    sa.column("service_id", IDENTIFIER),
    sa.column("name", bounded_text(100)),
    sa.column("at", Moment()),
    sa.column("value", sa.Double()),
    sa.column("labels", DOCUMENT),
)
_METRICS = sa.table(
    "metrics",
    sa.column("id", SEQUENCE),
    sa.column("service_id", IDENTIFIER),
    sa.column("name", bounded_text(100)),
    sa.column("kind", WORD),
    sa.column("created_at", Moment()),
)
_SERIES = sa.table(
    "metric_series",
    sa.column("id", SEQUENCE),
    sa.column("metric_id", SEQUENCE),
    sa.column("labels_hash", WORD),
    sa.column("labels", DOCUMENT),
    sa.column("last_at", Moment()),
    sa.column("last_value", sa.Double()),
)
_POINTS = sa.table(
    "metric_points",
    sa.column("id", SEQUENCE),
    sa.column("series_id", SEQUENCE),
    sa.column("at", Moment()),
    sa.column("value", sa.Double()),
)
_ROLLUPS = sa.table(
    "metric_rollups",
    sa.column("metric_id", SEQUENCE),
    sa.column("step", sa.Integer()),
    sa.column("start", sa.BigInteger()),
    sa.column("count", sa.Double()),
    sa.column("total", sa.Double()),
    sa.column("least", sa.Double()),
    sa.column("most", sa.Double()),
    sa.column("last", sa.Double()),
    sa.column("last_at", Moment()),
    sa.column("sketch", sa.LargeBinary()),
)


def _carry_points_back(connection: sa.Connection) -> None:
    """Give the raw samples back; roll-ups have none to give."""
    values = (
        sa.select(
            _METRICS.c.service_id,
            _METRICS.c.name,
            _POINTS.c.at,
            _POINTS.c.value,
            _SERIES.c.labels,
        )
        .select_from(_POINTS)
        .join(_SERIES, _SERIES.c.id == _POINTS.c.series_id)
        .join(_METRICS, _METRICS.c.id == _SERIES.c.metric_id)
    )
    columns = ["service_id", "name", "at", "value", "labels"]
    connection.execute(sa.insert(_SAMPLES).from_select(columns, values))


def _upgrade_logs() -> None:
    op.create_table(
        "ingest_batches",
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("batch_id", IDENTIFIER, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("answer", DOCUMENT, nullable=False),
        _belongs_to("ingest_batches", "service_id", "services"),
        sa.PrimaryKeyConstraint("service_id", "kind", "batch_id", name=op.f("pk_ingest_batches")),
    )
    op.create_index(op.f("ix_ingest_batches_at"), "ingest_batches", ["at"])
    op.create_table(
        "log_volumes",
        sa.Column("service_id", IDENTIFIER, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("level", WORD, nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        _belongs_to("log_volumes", "service_id", "services"),
        sa.PrimaryKeyConstraint("service_id", "start", "level", name=op.f("pk_log_volumes")),
    )
    op.drop_index(op.f("ix_log_entries_at"), table_name="log_entries")
    op.create_index("ix_log_entries_level", "log_entries", ["service_id", "level", "at", "id"])
    op.create_index("ix_log_entries_trace", "log_entries", ["service_id", "trace_id", "at"])


def downgrade() -> None:
    op.drop_index("ix_log_entries_trace", "log_entries")
    op.drop_index("ix_log_entries_level", "log_entries")
    op.create_index(op.f("ix_log_entries_at"), "log_entries", ["at"])
    op.drop_table("log_volumes")
    op.drop_table("ingest_batches")

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
    _carry_points_back(op.get_bind())

    for table in ("metric_rollups", "metric_points", "metric_series", "metrics"):
        op.drop_table(table)

    for table in (
        "heartbeats",
        "check_hours",
        "health_changes",
        "health_periods",
        "monitored_services",
    ):
        op.drop_table(table)


def _belongs_to(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{owner}.id"], name=op.f(f"fk_{table}_{column}_{owner}"), ondelete="CASCADE"
    )
