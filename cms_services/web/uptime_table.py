"""Uptime as CSV: a line a period, and the sums below."""

import csv
import io

from cms_services.clock import to_wire
from cms_services.monitoring.health.uptime import Uptime

CSV_TYPE = "text/csv"
_COLUMNS = ("serviceId", "status", "from", "to", "seconds", "percent")
_SUMS = ("up", "degraded", "down", "maintenance", "unknown")


def uptime_as_csv(uptime: Uptime) -> str:
    """RFC 4180 with a header. The lines of sums are called `total up` and so on."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    number, start, end = uptime.service_id, to_wire(uptime.start), to_wire(uptime.end)
    for period in uptime.periods:
        seconds = (period.end - period.start).total_seconds()
        writer.writerow(
            [number, period.status, to_wire(period.start), to_wire(period.end), seconds, ""]
        )
    for name in _SUMS:
        percent = uptime.percent if name == "up" and uptime.percent is not None else ""
        writer.writerow([number, f"total {name}", start, end, getattr(uptime, name), percent])
    return text.getvalue()
