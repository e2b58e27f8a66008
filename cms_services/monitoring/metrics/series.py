"""The metrics and series of a service: found, made, and bounded in number."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select

from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.metrics.models import Metric, MetricSeries
from cms_services.monitoring.metrics.rollups import in_parts
from cms_services.monitoring.metrics.rules import problem_of_kind
from cms_services.monitoring.metrics.values import NewSample
from cms_services.upserts import replace
from cms_services.vocabulary import MetricKind

COUNTS = frozenset({"requests", "errors"})

_AT_ONCE = 500
_services: Table = Service.__table__  # type: ignore[assignment]
_metrics: Table = Metric.__table__  # type: ignore[assignment]
_series: Table = MetricSeries.__table__  # type: ignore[assignment]

# Not the key, so that rows which refer to the service can be added meanwhile (PostgreSQL).
_LOCK = (
    select(_services.c.id)
    .where(_services.c.id == bindparam("service_id"))
    .with_for_update(key_share=True)
)
_KNOWN_METRICS = select(_metrics.c.id, _metrics.c.name, _metrics.c.kind).where(
    _metrics.c.service_id == bindparam("service_id"),
    _metrics.c.name.in_(bindparam("names", expanding=True)),
)
_KNOWN_SERIES = select(
    _series.c.id,
    _series.c.metric_id,
    _series.c.labels_hash,
    _series.c.last_at,
    _series.c.last_value,
    _series.c.last_state,
).where(
    _series.c.metric_id.in_(bindparam("metric_ids", expanding=True)),
    _series.c.labels_hash.in_(bindparam("hashes", expanding=True)),
)
_NUMBER = (
    select(func.count())
    .select_from(_series.join(_metrics))
    .where(_metrics.c.service_id == bindparam("service_id"))
)
_SILENT = (
    select(_series.c.id)
    .select_from(_series.join(_metrics))
    .where(
        _metrics.c.service_id == bindparam("service_id"),
        _series.c.last_at < bindparam("since"),
    )
)


@dataclass(slots=True)
class Series:
    """A series with the samples that arrived for it, and what its last one left."""

    metric_id: int
    kind: MetricKind
    labels: Mapping[str, str]
    labels_hash: str
    id: int = 0
    last_at: datetime | None = None
    last_value: float | None = None
    last_state: dict[str, Any] | None = None
    samples: list[NewSample] = field(default_factory=list)


def lock_metrics(connection: Connection, service_id: str) -> None:
    """Let nobody else change this service's metrics until the transaction ends."""
    connection.execute(_LOCK, {"service_id": service_id})


def sorted_into_series(
    connection: Connection,
    service_id: str,
    samples: Sequence[NewSample],
    limit: int,
    heard_since: datetime,
) -> tuple[list[Series], list[Rejected]]:
    """The series of the samples, made where they are new, and the samples that fit into none.

    Those are of another kind than their metric, of a value that their kind doesn't take, or would
    be series beyond the service's `limit`: where it is reached, those that were not heard since a
    moment make room first.
    """
    names = sorted({sample.name for sample in samples})
    known = _known_metrics(connection, service_id, names)
    kinds = {name: kind for name, (_, kind) in known.items()}
    hashes: dict[tuple[tuple[str, str], ...], str] = {(): ""}
    found: dict[tuple[str, str], Series] = {}
    rejected = []
    for sample in samples:
        kind = _kind_of(sample, kinds.get(sample.name))
        # Before a metric that is new becomes one of this kind.
        if problem := problem_of_kind(kind, sample.value):
            rejected.append(Rejected(sample.index, problem))
            continue
        if kind is not kinds.setdefault(sample.name, kind):
            rejected.append(_of_another_kind(sample, kind, kinds[sample.name]))
            continue
        labels = tuple(sorted(sample.labels.items())) if sample.labels else ()
        labels_hash = hashes.get(labels)
        if labels_hash is None:
            labels_hash = hashes[labels] = hashlib.sha256(orjson.dumps(labels)).hexdigest()
        series = found.get((sample.name, labels_hash))
        if series is None:
            metric_id = known[sample.name][0] if sample.name in known else 0
            series = Series(metric_id, kind, dict(labels), labels_hash)
            found[sample.name, labels_hash] = series
        series.samples.append(sample)
    _fill_in_known(connection, found.values())
    rejected += _admit(connection, service_id, found, limit, heard_since)
    _make_metrics(connection, service_id, found)
    _make_series(connection, found.values())
    return list(found.values()), rejected


def keep_last(connection: Connection, series: Sequence[Series]) -> None:
    """Store what the last sample of each series left."""
    rows = [
        {
            "id": each.id,
            "metric_id": each.metric_id,
            "labels_hash": each.labels_hash,
            "labels": each.labels,
            "last_at": each.last_at,
            "last_value": each.last_value,
            "last_state": each.last_state,
        }
        for each in sorted(series, key=lambda each: each.id)
    ]
    replace(connection, _series, rows)


def _kind_of(sample: NewSample, known: MetricKind | None) -> MetricKind:
    if sample.buckets is not None:
        return MetricKind.HISTOGRAM
    if sample.kind is not None:
        return sample.kind
    usual = MetricKind.COUNT if sample.name in COUNTS else MetricKind.GAUGE
    # A value alone is none of a histogram.
    return usual if known is None or known is MetricKind.HISTOGRAM else known


def _of_another_kind(sample: NewSample, kind: MetricKind, known: MetricKind) -> Rejected:
    return Rejected(
        sample.index,
        f"type: {sample.name} is a {known} of this service and takes no {kind}; "
        "send it as it is known, or by another name.",
    )


def _known_metrics(
    connection: Connection, service_id: str, names: Sequence[str]
) -> dict[str, tuple[int, MetricKind]]:
    found = {}
    for some in in_parts(names, _AT_ONCE):
        rows = connection.execute(_KNOWN_METRICS, {"service_id": service_id, "names": some})
        found.update({row.name: (row.id, MetricKind(row.kind)) for row in rows})
    return found


def _fill_in_known(connection: Connection, series: Any) -> None:
    """Tell the series that are there their ids and what their last samples left."""
    by_key = {(each.metric_id, each.labels_hash): each for each in series if each.metric_id}
    for keys in in_parts(sorted(by_key), _AT_ONCE):
        wanted = {
            "metric_ids": sorted({metric_id for metric_id, _ in keys}),
            "hashes": sorted({labels_hash for _, labels_hash in keys}),
        }
        for row in connection.execute(_KNOWN_SERIES, wanted):
            each = by_key.get((row.metric_id, row.labels_hash))
            if each is not None:
                each.id = row.id
                each.last_at, each.last_value = row.last_at, row.last_value
                each.last_state = row.last_state


def _admit(
    connection: Connection,
    service_id: str,
    found: dict[tuple[str, str], Series],
    limit: int,
    heard_since: datetime,
) -> list[Rejected]:
    """Take out the new series beyond the limit; their samples are rejected."""
    new = [key for key, series in found.items() if not series.id]
    if not new:
        return []
    number = connection.execute(_NUMBER, {"service_id": service_id}).scalar_one()
    if number + len(new) > limit:
        present = {series.id for series in found.values()}
        number -= _forget_silent(connection, service_id, heard_since, present)
    rejected = []
    for key in new[max(0, limit - number) :]:
        rejected += [
            Rejected(
                sample.index,
                f"labels: This would be a new series, and the service has all {limit} that it may "
                "have (METRIC_SERIES_LIMIT): send fewer names and sets of labels.",
            )
            for sample in found.pop(key).samples
        ]
    return rejected


def _forget_silent(
    connection: Connection, service_id: str, heard_since: datetime, but: Collection[int]
) -> int:
    """Delete the service's series without a sample since a moment. Returns how many.

    Their roll-ups stay, which belong to the metrics.
    """
    silent = connection.execute(_SILENT, {"service_id": service_id, "since": heard_since})
    ids = [number for (number,) in silent if number not in but]
    for some in in_parts(ids, _AT_ONCE):
        connection.execute(delete(_series).where(_series.c.id.in_(some)))
    return len(ids)


def _make_metrics(
    connection: Connection, service_id: str, found: dict[tuple[str, str], Series]
) -> None:
    new = {name: series.kind for (name, _), series in found.items() if not series.metric_id}
    if not new:
        return
    moment = now()
    rows = [
        {"service_id": service_id, "name": name, "kind": kind, "created_at": moment}
        for name, kind in sorted(new.items())
    ]
    connection.execute(insert(_metrics), rows)
    known = _known_metrics(connection, service_id, sorted(new))
    for (name, _), series in found.items():
        if name in known:
            series.metric_id = known[name][0]


def _make_series(connection: Connection, series: Any) -> None:
    new = [each for each in series if not each.id]
    if not new:
        return
    rows = [
        {"metric_id": each.metric_id, "labels_hash": each.labels_hash, "labels": each.labels}
        for each in new
    ]
    connection.execute(insert(_series), rows)
    _fill_in_known(connection, new)
