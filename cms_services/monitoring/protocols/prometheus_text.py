"""Prometheus' text format and OpenMetrics, as an endpoint that is scraped answers them.

https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://github.com/prometheus/OpenMetrics, whose texts end with a line `# EOF`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as families_of_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families

from cms_services.monitoring.protocols.measurements import Decoded
from cms_services.monitoring.protocols.otlp import storable
from cms_services.monitoring.protocols.prometheus import Line, decode_lines

MAX_LINES = 10_000
# Comments and empty lines too.
_MOST_LINES = 5 * MAX_LINES
# The parser's time grows with the square of a line's length.
_LONGEST_LINE = 16 * 1024
_MOST_LABELS = 64
_CREATED = "_created"


def decode_text(text: str, at: datetime) -> Decoded:
    """All samples of a text, of the moment `at` unless they tell their own.

    When a series was created is no sample. Raises ValueError for a text that is not of either
    format, has more than MAX_LINES samples, or lines that nobody has a reason to send.
    """
    _require_readable(text)
    is_openmetrics = text.rstrip().endswith("# EOF")
    read = families_of_openmetrics if is_openmetrics else text_string_to_metric_families
    try:
        families = list(read(text))
        types = {family.name: family.type for family in families}
        lines = list(_lines(families, at))
    except Exception as error:
        # The parser raises whatever its slicing of a broken line comes to.
        told = str(error)[:200]
        raise ValueError(f"It is not in Prometheus' text format: {told}") from error
    return decode_lines(lines, types)


def _require_readable(text: str) -> None:
    """Raises ValueError for what the parser would take too long, or too much memory, to read."""
    lines = text.split("\n")
    if len(lines) > _MOST_LINES:
        raise ValueError(f"It has more than {_MOST_LINES} lines.")
    if sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in lines) > MAX_LINES:
        raise ValueError(f"It has more than {MAX_LINES} samples.")
    for line in lines:
        if len(line) > _LONGEST_LINE:
            raise ValueError(f"It has a line longer than {_LONGEST_LINE} characters.")
        # A value that ends with = counts twice.
        if line.count('="') > _MOST_LABELS:
            raise ValueError(f"It has a line with more than {_MOST_LABELS} labels.")


def _lines(families: Iterable[Metric], at: datetime) -> Iterator[Line]:
    index = 0
    named = {family.name for family in families}
    for family in families:
        if family.name.endswith(_CREATED) and family.name.removesuffix(_CREATED) in named:
            continue
        for sample in family.samples:
            if sample.value is None or (
                sample.name == family.name + _CREATED and family.type != "gauge"
            ):
                continue
            own = sample.timestamp
            yield Line(
                sample.name,
                {name: storable(value) for name, value in sample.labels.items()},
                float(sample.value),
                at if own is None else datetime.fromtimestamp(float(own), UTC),
                index,
            )
            index += 1
