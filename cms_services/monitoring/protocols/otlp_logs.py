"""Log records of the OpenTelemetry Protocol as log entries.

https://opentelemetry.io/docs/specs/otel/logs/data-model/
"""

from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.monitoring.protocols.log_values import (
    MOST_ENTRIES,
    bounded_attributes,
    bounded_message,
    bounded_source,
    level_of_word,
    shared_attributes,
)
from cms_services.monitoring.protocols.measurements import require_few
from cms_services.monitoring.protocols.otlp import (
    attribute_text,
    moment_of,
    plain_attributes,
    plain_value,
)
from cms_services.vocabulary import LogLevel

# Of these every record has its own or all have the same, which says nothing of one.
_LEFT_OUT = (
    "service.name",
    "telemetry.sdk.name",
    "telemetry.sdk.language",
    "telemetry.sdk.version",
)
_BYTES_OF_TRACE = 16
# The greatest number of each level (SeverityNumber: four to a level, from TRACE to FATAL4).
_UP_TO = ((8, LogLevel.DEBUG), (12, LogLevel.INFO), (16, LogLevel.WARN), (24, LogLevel.ERROR))


def decode_logs(export: ExportLogsServiceRequest) -> list[NewLogEntry]:
    """The entries of all records in their order, each with its place among them.

    Raises ValidationFailed for more than MOST_ENTRIES of them.
    """
    _require_few_records(export)
    entries: list[NewLogEntry] = []
    for of_resource in export.resource_logs:
        resource = plain_attributes(of_resource.resource.attributes)
        told = shared_attributes(
            {f"resource.{name}": resource[name] for name in resource if name not in _LEFT_OUT}
        )
        service = attribute_text(resource.get("service.name", ""))
        for of_scope in of_resource.scope_logs:
            scope = bounded_source(of_scope.scope.name)
            around = ({"scope.name": scope} if scope and service else {}) | told
            source = bounded_source(service or scope)
            for record in of_scope.log_records:
                entries.append(_entry(record, source, around, len(entries)))
    return entries


def _require_few_records(export: ExportLogsServiceRequest) -> None:
    """Level by level, since to look at millions of empty messages would take minutes."""
    require_few(len(export.resource_logs), "resourceLogs", MOST_ENTRIES)
    scopes = sum(len(each.scope_logs) for each in export.resource_logs)
    require_few(scopes, "scopeLogs", MOST_ENTRIES)
    records = sum(len(s.log_records) for each in export.resource_logs for s in each.scope_logs)
    require_few(records, "logRecords", MOST_ENTRIES)


def _entry(record: LogRecord, source: str, around: dict[str, Any], index: int) -> NewLogEntry:
    level = _level(record)
    more: dict[str, Any] = {}
    if record.span_id:
        more["spanId"] = record.span_id.hex()
    if record.event_name:
        more["eventName"] = record.event_name
    if record.severity_text and record.severity_text.lower() not in (level, "warning"):
        more["severity"] = record.severity_text
    body = plain_value(record.body)
    return NewLogEntry(
        level=level,
        message=bounded_message("" if body is None else attribute_text(body)),
        at=moment_of(record.time_unix_nano) or moment_of(record.observed_time_unix_nano),
        source=source,
        attributes=bounded_attributes(more, plain_attributes(record.attributes), around),
        trace_id=_trace_id(record.trace_id),
        index=index,
    )


def _trace_id(told: bytes) -> str | None:
    """A trace id has 16 bytes that are not all zero; another is as good as none."""
    return told.hex() if len(told) == _BYTES_OF_TRACE and any(told) else None


def _level(record: LogRecord) -> LogLevel:
    for greatest, level in _UP_TO:
        if 0 < record.severity_number <= greatest:
            return level
    return level_of_word(record.severity_text) or LogLevel.INFO
