"""Metric rows of an old database, added to the roll-ups and, where recent, to the samples.

A roll-up can't tell what it is made of. So rows are added once, in the transaction that also moves
the position behind them on.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.exc import DBAPIError

from cms_services.clock import now
from cms_services.database import is_outage
from cms_services.extensions import db
from cms_services.importing.conversion import Reading, Refused, number
from cms_services.importing.entities import BUILT_IN_METRICS
from cms_services.importing.findings import About, Finding, Tally, Tell
from cms_services.importing.merging import told
from cms_services.importing.reading import Reader
from cms_services.importing.source import Row
from cms_services.importing.stores import Known
from cms_services.monitoring.metrics.ingest import store_samples
from cms_services.monitoring.metrics.models import Metric, MetricRollup
from cms_services.monitoring.metrics.rollups import STEPS
from cms_services.monitoring.metrics.series import lock_metrics
from cms_services.monitoring.metrics.values import NewSample
from cms_services.settings import current_settings

_METRICS: Table = Metric.__table__  # type: ignore[assignment]
_ROLLUPS: Table = MetricRollup.__table__  # type: ignore[assignment]
_UNITS = 10**6
# Of a sum of doubles, which depends a little on the order in which they are added.
_PRECISION = 1e-11
_MODULUS = 2**128
_MOST_ABSENT = 5000


class _NoService(Refused):
    def __init__(self, service_id: str) -> None:
        super().__init__(f"service_id: there is no service {service_id} here.")
        self.service_id = service_id


@dataclass
class MetricRows:
    """Takes pages of metric rows, which must not come again once they were taken.

    `absent` has services that were not here, each with the number of its rows, and the key that
    all of them are behind: `after`, which is set before each page.
    """

    source: str
    reader: Reader
    known: Known
    tell: Tell
    tally: Tally
    absent: dict[str, tuple[int, Any]] = field(default_factory=dict)
    after: Any = None

    def take_of(self, services: Collection[str], rows: Sequence[Row]) -> None:
        """As take() does, of the rows of services that were not here when they were read."""
        chosen = []
        for row in rows:
            try:
                if self.reader.values(row)["service_id"] in services:
                    chosen.append(row)
            except Refused:
                # It was told when it was read.
                continue
        self.take(chosen)

    def take(self, rows: Sequence[Row]) -> None:
        """In the caller's transaction; what can't be taken leaves nothing of itself."""
        self.tally.read += len(rows)
        self.known.begin_page()
        oldest = now() - current_settings().metric_hour_retention
        by_service: dict[str, list[tuple[str, NewSample]]] = {}
        for row in rows:
            key = self.reader.key(row)
            try:
                service_id, samples = self._samples(row)
            except Refused as error:
                self._reject(key, str(error))
                if isinstance(error, _NoService):
                    self._note_absent(error.service_id)
                continue
            if samples and samples[0].at is not None and samples[0].at < oldest:
                self.tally.outdated += 1
                continue
            by_service.setdefault(service_id, []).extend((key, sample) for sample in samples)
        for service_id, found in by_service.items():
            self._take_of(service_id, found)

    def _note_absent(self, service_id: str) -> None:
        rows, after = self.absent.get(service_id, (0, self.after))
        if rows or len(self.absent) < _MOST_ABSENT:
            self.absent[service_id] = rows + 1, after

    def _take_of(self, service_id: str, samples: list[tuple[str, NewSample]]) -> None:
        # What others add meanwhile would seem to be ours.
        lock_metrics(db.session.connection(), service_id)
        count, total = _rolled_up(service_id)
        rejected = self._store(service_id, samples)
        more, whole = _rolled_up(service_id)
        good = [sample for key, sample in samples if key not in rejected]
        taken = len({key for key, _ in samples} - rejected)
        self.tally.taken += taken
        self.tally.here += taken if more - count == len(good) else 0
        added = math.fsum(sample.value for sample in good)
        is_right = math.isclose(whole, total + added, rel_tol=_PRECISION, abs_tol=1e-9)
        self._add_sums(len(good), added, more - count, added if is_right else whole - total)

    def _add_sums(self, there: int, added: float, here: int, grown: float) -> None:
        """How many values and their sum, there and here, into the checksums."""
        source, target = self.tally.source_sum, self.tally.here_sum
        self.tally.source_sum = (source + there + round(added * _UNITS)) % _MODULUS
        self.tally.here_sum = (target + here + round(grown * _UNITS)) % _MODULUS

    def _store(self, service_id: str, samples: list[tuple[str, NewSample]]) -> set[str]:
        """Store samples; where the database refuses, by halves. Returns keys of rejected rows."""
        for index, (_, sample) in enumerate(samples):
            sample.index = index
        kept = current_settings().metric_hour_retention
        try:
            with db.session.begin_nested():
                stored = store_samples(
                    service_id,
                    [sample for _, sample in samples],
                    distinct=False,
                    oldest_age=kept,
                )
        except (DBAPIError, ValueError, TypeError) as error:
            if isinstance(error, DBAPIError) and is_outage(error):
                raise
            if len(samples) == 1:
                self._reject(samples[0][0], told(error))
                return {samples[0][0]}
            middle = len(samples) // 2
            return self._store(service_id, samples[:middle]) | self._store(
                service_id, samples[middle:]
            )
        for each in stored.rejected:
            self._reject(samples[each.index][0], each.message)
        return {samples[each.index][0] for each in stored.rejected}

    def _samples(self, row: Row) -> tuple[str, list[NewSample]]:
        values = self.reader.values(row)
        service_id = values["service_id"]
        if not self.known.has_service(service_id):
            raise _NoService(service_id)
        if values["at"] is None:
            raise Refused("at: it has no time.")
        how = Reading(repair=self.reader.repair)
        found = {
            name: number(row[column], how, column)
            for name, column in self.reader.mapping.series.items()
        }
        if "name" in values and values.get("value") is not None:
            found[values["name"] or ""] = values["value"]
        labels = {str(name): str(each) for name, each in (values.get("labels") or {}).items()}
        samples = [
            NewSample(_our_name(name), value, values["at"], labels)
            for name, value in found.items()
            if value is not None
        ]
        if not samples:
            raise Refused("value: it has none.")
        return service_id, samples

    def _reject(self, key: str, reason: str) -> None:
        self.tally.rejected += 1
        self.tell(Finding(About.REJECTED, "metrics", self.reader.table.name, key, reason))


def _our_name(name: str) -> str:
    """A metric's name, for the built-in ones ours."""
    lowered = name.strip().lower().replace("-", "_").replace(" ", "_")
    for ours, others in BUILT_IN_METRICS.items():
        if lowered in others:
            return ours
    return name.strip().replace("-", "_").replace(" ", "_")


def _rolled_up(service_id: str) -> tuple[int, float]:
    """How many values a service's metrics have in all, and their sum."""
    query = (
        select(_sum(_ROLLUPS.c.count), _sum(_ROLLUPS.c.total))
        .join(_METRICS, _METRICS.c.id == _ROLLUPS.c.metric_id)
        .where(_METRICS.c.service_id == service_id, _ROLLUPS.c.step == STEPS[-1])
    )
    count, total = db.session.execute(query).one()
    return round(count), float(total)


def _sum(column: ColumnElement[float]) -> ColumnElement[float]:
    return func.coalesce(func.sum(column), 0)
