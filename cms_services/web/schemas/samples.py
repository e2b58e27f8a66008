"""The wire form of metric samples. Batches of them are read by plain code, for its speed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length, Range, Regexp

from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.metrics.rules import (
    LARGEST_VALUE,
    LONGEST_LABEL_NAME,
    LONGEST_LABEL_VALUE,
    METRIC_NAME,
    MOST_BOUNDS,
    MOST_LABELS,
)
from cms_services.monitoring.metrics.values import Buckets, NewSample
from cms_services.vocabulary import MetricKind
from cms_services.web.fields import Moment, WireSchema, word
from cms_services.wording import worded

MOST_SAMPLES = 10_000
_VALUES = Range(-LARGEST_VALUE, LARGEST_VALUE)
_KINDS = {str(kind): kind for kind in MetricKind}
_OF_HISTOGRAM = ("bounds", "counts", "sum")
_LONGEST_TOLD = 100


class SampleIn(WireSchema):
    """What read_samples() takes; only the OpenAPI document is made from this."""

    name = fields.String(required=True, validate=Regexp(METRIC_NAME))
    value = fields.Float(validate=_VALUES, metadata={"description": "Of all but histograms."})
    kind = word(MetricKind, data_key="type")
    at = Moment(data_key="timestamp")
    labels = fields.Dict(
        keys=fields.String(validate=Length(1, LONGEST_LABEL_NAME)),
        values=fields.String(validate=Length(max=LONGEST_LABEL_VALUE)),
        validate=Length(max=MOST_LABELS),
    )
    bounds = fields.List(fields.Float(validate=_VALUES), validate=Length(max=MOST_BOUNDS))
    counts = fields.List(
        fields.Float(validate=Range(0, LARGEST_VALUE)),
        metadata={"description": "How many are at most each bound; one more for those above."},
    )
    sum = fields.Float(validate=_VALUES)


class _Samples(fields.List[Any]):
    """A list of samples, described by SampleIn and read by read_samples()."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, list):
            raise ValidationError(worded("Not a valid list."))
        return value


class SamplesIn(WireSchema):
    batch_id = fields.String(
        data_key="batchId",
        load_default=None,
        validate=[
            Length(1, 255),
            Regexp(r"^[^\x00-\x1f\x7f]*\Z", error=worded("Takes printable text.")),
        ],
        metadata={"description": "A batch is stored once, however often it is sent."},
    )
    samples = _Samples(fields.Nested(SampleIn), required=True, validate=Length(max=MOST_SAMPLES))


def read_samples(items: Sequence[Any]) -> tuple[list[NewSample], list[Rejected]]:
    """The samples of a batch that have the form of one, and what is wrong with the others.

    What their values must keep to is judged where all protocols come together, in
    monitoring/metrics/rules.py.
    """
    samples, rejected = [], []
    for index, item in enumerate(items):
        try:
            samples.append(_sample(item, index))
        except _Unreadable as error:
            rejected.append(Rejected(index, str(error)))
    return samples, rejected


class _Unreadable(Exception):
    pass


def _sample(item: Any, index: int) -> NewSample:
    if not isinstance(item, dict):
        raise _Unreadable("Takes an object such as {name, value}.")
    name = item.get("name")
    if not isinstance(name, str):
        raise _Unreadable("name: Takes a text." if "name" in item else "name: Is needed.")
    sample = NewSample(name, index=index)
    for key, value in item.items():
        if key == "value":
            sample.value = _number("value", value)
        elif key == "timestamp":
            sample.at = _moment(value)
        elif key == "labels":
            sample.labels = _labels(value)
        elif key == "type":
            sample.kind = _KINDS.get(value) if isinstance(value, str) else None
            if sample.kind is None:
                raise _Unreadable(f"type: Takes one of {', '.join(_KINDS)}.")
        elif key != "name" and key not in _OF_HISTOGRAM:
            raise _Unreadable(f"{key[:_LONGEST_TOLD]}: Unknown field.")
    if sample.kind is MetricKind.HISTOGRAM or any(key in item for key in _OF_HISTOGRAM):
        sample.buckets = _buckets(item, sample.kind)
    elif "value" not in item:
        raise _Unreadable("value: Is needed.")
    return sample


def _buckets(item: dict[str, Any], kind: MetricKind | None) -> Buckets:
    if kind not in (None, MetricKind.HISTOGRAM) or "value" in item:
        raise _Unreadable("bounds: A histogram has bounds, counts and sum, others have a value.")
    lists = {}
    for key in ("bounds", "counts"):
        given = item.get(key)
        if not isinstance(given, list):
            raise _Unreadable(f"{key}: Takes a list of numbers.")
        lists[key] = [_number(key, number) for number in given]
    return Buckets(lists["bounds"], lists["counts"], _number("sum", item.get("sum")))


def _number(key: str, value: Any) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise _Unreadable(f"{key}: Takes a number.")


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise _Unreadable("timestamp: Say the time zone, such as by a Z at the end.")
        return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise _Unreadable("timestamp: Takes a time such as 2026-01-31T12:00:00Z.") from error


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise _Unreadable("labels: Takes an object of texts.")
    return value
