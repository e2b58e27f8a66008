"""The health of services: what is due, what was found, and since when."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Double, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.database import DOCUMENT, IDENTIFIER, LONG_TEXT, SEQUENCE, WORD, Moment
from cms_services.extensions import Model
from cms_services.vocabulary import HealthStatus


def _of_a_service() -> ForeignKey:
    return ForeignKey("services.id", ondelete="CASCADE")


class MonitoredService(Model):
    """What the workers know of a service: its checks, when they are due, what they found last.

    Whoever holds the lease runs the service's checks, and alone writes all but what comes from the
    service's own row (`seen_version`, `service_status`, `checks`).
    """

    __tablename__ = "monitored_services"

    service_id: Mapped[str] = mapped_column(IDENTIFIER, _of_a_service(), primary_key=True)
    # The version and status of the service that this row was made after.
    seen_version: Mapped[int] = mapped_column()
    service_status: Mapped[str] = mapped_column(WORD)
    # The checks that it declares, as its configuration has them: secrets are sealed.
    checks: Mapped[list[dict[str, Any]]] = mapped_column(DOCUMENT, default=list)
    # What is known of each, by its name.
    states: Mapped[dict[str, Any]] = mapped_column(DOCUMENT, default=dict)
    # When the first of them is due; null where nothing is to be done.
    due_at: Mapped[datetime | None] = mapped_column(Moment, index=True)
    lease_holder: Mapped[str | None] = mapped_column(WORD)
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    # The period that goes on: what it is, since when, and until when the last results hold.
    status: Mapped[str] = mapped_column(WORD, default=HealthStatus.UNKNOWN)
    since: Mapped[datetime | None] = mapped_column(Moment)
    known_until: Mapped[datetime | None] = mapped_column(Moment)
    # What the checks say, in maintenance too, and until when; current.py tells what that means.
    health: Mapped[str] = mapped_column(
        WORD, default=HealthStatus.UNKNOWN, server_default=HealthStatus.UNKNOWN
    )
    health_until: Mapped[datetime | None] = mapped_column(Moment)
    checked_at: Mapped[datetime | None] = mapped_column(Moment)
    response_time_ms: Mapped[float | None] = mapped_column(Double)


class HealthPeriod(Model):
    """A past stretch of time in which a service's status was known and the same."""

    __tablename__ = "health_periods"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    service_id: Mapped[str] = mapped_column(IDENTIFIER, _of_a_service())
    status: Mapped[str] = mapped_column(WORD)
    started_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime] = mapped_column(Moment, index=True)

    __table_args__ = (Index("ix_health_periods_service", "service_id", "ended_at"),)


class HealthChange(Model):
    """A check that changed its status: why, and what the target answered."""

    __tablename__ = "health_changes"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    service_id: Mapped[str] = mapped_column(IDENTIFIER, _of_a_service())
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    check: Mapped[str] = mapped_column("check_name", IDENTIFIER)
    before: Mapped[str] = mapped_column("status_before", WORD)
    after: Mapped[str] = mapped_column("status_after", WORD)
    cause: Mapped[str] = mapped_column(LONG_TEXT)
    # The answer's status, the milliseconds of each step, and an excerpt of the body.
    details: Mapped[dict[str, Any]] = mapped_column(DOCUMENT, default=dict)

    __table_args__ = (Index("ix_health_changes_service", "service_id", "at", "id"),)


class HealthReport(Model):
    """A report that is worth keeping: of a change, or asked for by hand."""

    __tablename__ = "health_reports"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    service_id: Mapped[str] = mapped_column(IDENTIFIER, _of_a_service())
    checked_at: Mapped[datetime] = mapped_column(Moment, index=True)
    status: Mapped[str] = mapped_column(WORD)
    response_time_ms: Mapped[float | None] = mapped_column(Double)
    checks: Mapped[list[dict[str, Any]]] = mapped_column(DOCUMENT)

    __table_args__ = (Index("ix_health_reports_service", "service_id", "checked_at"),)


class CheckHour(Model):
    """The runs of a check within one hour, which begins at `start` (seconds since 1970)."""

    __tablename__ = "check_hours"

    service_id: Mapped[str] = mapped_column(IDENTIFIER, _of_a_service(), primary_key=True)
    check: Mapped[str] = mapped_column("check_name", IDENTIFIER, primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    runs: Mapped[int] = mapped_column()
    failures: Mapped[int] = mapped_column()
    # Over the runs that were answered.
    answered: Mapped[int] = mapped_column()
    total_ms: Mapped[float] = mapped_column(Double)
    longest_ms: Mapped[float] = mapped_column(Double)

    __table_args__ = (Index("ix_check_hours_start", "start"),)


class Heartbeat(Model):
    """When a service last called, for a check of the type heartbeat."""

    __tablename__ = "heartbeats"

    service_id: Mapped[str] = mapped_column(IDENTIFIER, _of_a_service(), primary_key=True)
    check: Mapped[str] = mapped_column("check_name", IDENTIFIER, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    failed: Mapped[bool] = mapped_column(default=False)
    message: Mapped[str] = mapped_column(LONG_TEXT, default="")
    duration_ms: Mapped[float | None] = mapped_column(Double)
