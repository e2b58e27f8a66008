"""Storing the samples that services send, and rolling them up in the same transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, bindparam, insert, select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.batches import Rejected, Stored, answer_to_batch, keep_batch
from cms_services.monitoring.metrics.growth import observe
from cms_services.monitoring.metrics.models import MetricPoint
from cms_services.monitoring.metrics.rollups import Observed, add_to_rollups, in_parts
from cms_services.monitoring.metrics.rules import judged
from cms_services.monitoring.metrics.series import (
    Series,
    keep_last,
    lock_metrics,
    sorted_into_series,
)
from cms_services.monitoring.metrics.values import NewSample
from cms_services.settings import current_settings

_BATCH_KIND = "metrics"
_AT_ONCE = 500

_points: Table = MetricPoint.__table__  # type: ignore[assignment]
_STORED_TIMES = select(_points.c.series_id, _points.c.at).where(
    _points.c.series_id.in_(bindparam("series_ids", expanding=True)),
    _points.c.at.in_(bindparam("times", expanding=True)),
)


def add_samples(
    actor: Actor,
    identifier: str,
    samples: Sequence[NewSample],
    batch_id: str | None = None,
    rejected: Sequence[Rejected] = (),
) -> Stored:
    """Add samples to a service's metrics; each counts, however alike.

    A batch whose id was stored already is answered as it was then, and adds nothing. `rejected`
    are entries of the batch that the door could not read.
    """
    service = load_service(actor, identifier, for_change=True, lock=False)
    if batch_id is None:
        return _with(store_samples(service.id, samples, distinct=False), rejected)
    # First the lock: of two requests with one batch the second finds what the first has stored.
    lock_metrics(db.session.connection(), service.id)
    known = answer_to_batch(service.id, _BATCH_KIND, batch_id)
    if known is not None:
        return Stored(known["accepted"], [Rejected(**each) for each in known["rejected"]])
    stored = _with(store_samples(service.id, samples, distinct=False), rejected)
    named = [{"index": each.index, "message": each.message} for each in stored.rejected]
    answer = {"accepted": stored.accepted, "rejected": named}
    keep_batch(service.id, _BATCH_KIND, batch_id, answer)
    return stored


def store_samples(
    service_id: str,
    samples: Sequence[NewSample],
    *,
    distinct: bool,
    oldest_age: timedelta | None = None,
) -> Stored:
    """Store samples of the service with this row id, and roll them up.

    `distinct` samples are told by series and time, so that a repeated one is dropped, as accepted;
    others each count. Concurrent batches of a service wait for each other. With `oldest_age` older
    ones are taken too than samples are kept for, and are rolled up alone.
    """
    settings = current_settings()
    heard_since = now() - settings.metric_sample_retention
    good, rejected = judged(samples, oldest_age or settings.metric_sample_retention)
    if not good:
        return Stored(0, rejected)
    connection = db.session.connection()
    lock_metrics(connection, service_id)
    limit = settings.metric_series_limit
    found, unfit = sorted_into_series(connection, service_id, good, limit, heard_since)
    if distinct:
        accepted = sum(len(series.samples) for series in found)
        _drop_repeated(connection, found)
    observed = Observed()
    points = []
    changed = []
    for series in found:
        if not series.samples:
            continue
        series.samples.sort(key=_moment)
        last_at = series.last_at
        added = observe(series, series.samples, heard_since)
        observed.metrics += added.metrics
        observed.moments += added.moments
        observed.values += added.values
        observed.many += added.many
        points += [
            {"series_id": series.id, "at": sample.at, "value": _shown(sample)}
            for sample in series.samples
            if _moment(sample) >= heard_since
        ]
        if series.last_at != last_at or last_at == series.samples[-1].at:
            changed.append(series)
    if points:
        connection.execute(insert(_points), points)
    add_to_rollups(connection, observed)
    keep_last(connection, changed)
    if not distinct:
        accepted = sum(len(series.samples) for series in found)
    return Stored(accepted, sorted([*rejected, *unfit], key=lambda each: each.index))


def _drop_repeated(connection: Connection, found: Sequence[Series]) -> None:
    """Leave of each series the samples of times that it has none of."""
    perhaps: dict[int, set[datetime]] = {}
    for series in found:
        first = {_moment(sample): sample for sample in reversed(series.samples)}
        series.samples = list(first.values())
        # What is newer than the last one can't be there.
        if series.last_at is not None:
            old = {at for at in first if at <= series.last_at}
            if old:
                perhaps[series.id] = old
    stored = _stored_times(connection, perhaps)
    for series in found:
        if series.id in perhaps:
            series.samples = [s for s in series.samples if (series.id, s.at) not in stored]


def _stored_times(
    connection: Connection, perhaps: dict[int, set[datetime]]
) -> set[tuple[int, datetime]]:
    stored = set()
    times = sorted(set().union(*perhaps.values())) if perhaps else []
    for ids in in_parts(sorted(perhaps), _AT_ONCE):
        for some in in_parts(times, _AT_ONCE):
            rows = connection.execute(_STORED_TIMES, {"series_ids": ids, "times": some})
            stored |= {(row.series_id, row.at) for row in rows}
    return stored


def _moment(sample: NewSample) -> datetime:
    assert sample.at is not None  # noqa: S101 - metrics/rules.py gives each sample its moment
    return sample.at


def _shown(sample: NewSample) -> float:
    """The value of a raw sample; of a histogram its average."""
    if sample.buckets is None:
        return sample.value
    return sample.buckets.total / (sum(sample.buckets.counts) or 1)


def _with(stored: Stored, rejected: Sequence[Rejected]) -> Stored:
    everything = sorted([*stored.rejected, *rejected], key=lambda each: each.index)
    return Stored(stored.accepted, everything)
