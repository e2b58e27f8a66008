"""What each type of check may say, where it stands in a configuration; docs/monitoring.md has it in
a table.

Reading gives values for JSON: durations in seconds, memory in megabytes (10^6 bytes), statuses as
pairs of the first and the last.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, validates_schema
from marshmallow import fields as plain

from cms_services.configuration import check_fields as take
from cms_services.configuration import fields
from cms_services.field_messages import field_messages
from cms_services.wording import worded

SHORTEST_INTERVAL, LONGEST_INTERVAL = "5s", "24h"


class _CheckSchema(Schema):
    """What every check may say."""

    name = fields.Text(255)
    type = fields.Text(64)
    target = fields.Text(2048)
    interval = fields.Duration(SHORTEST_INTERVAL, LONGEST_INTERVAL)
    timeout = fields.Duration("1ms", LONGEST_INTERVAL)
    retry_interval = fields.Duration("1s", LONGEST_INTERVAL, data_key="retryInterval")
    failure_threshold = fields.WholeNumber(1, 100, data_key="failureThreshold")
    success_threshold = fields.WholeNumber(1, 100, data_key="successThreshold")

    class Meta:
        unknown = EXCLUDE

    @validates_schema
    def _timeout_within_interval(self, data: dict[str, Any], **_: Any) -> None:
        timeout, interval = data.get("timeout"), data.get("interval")
        if timeout is not None and interval is not None and timeout >= interval:
            raise ValidationError(worded("Must be shorter than the interval."), "timeout")


class _Secured(_CheckSchema):
    verify = plain.Boolean()
    ca = take.Secret(65_536)


class _Http(_Secured):
    method = fields.words("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    headers = take.Headers()
    body = take.Body(16_384)
    expected_status = take.Statuses(data_key="expectedStatus")
    keyword = take.Secret(1024)
    absent_keyword = take.Secret(1024, data_key="absentKeyword")
    json_path = take.JsonCondition(data_key="jsonPath")
    follow_redirects = plain.Boolean(data_key="followRedirects")
    max_response_time = fields.Duration("1ms", LONGEST_INTERVAL, data_key="maxResponseTime")


class _ResponseTime(_Http):
    limit = fields.Duration("1ms", LONGEST_INTERVAL)


class _Tcp(_CheckSchema):
    send = take.Secret(4096)
    expect = take.Secret(1024)


class _Tls(_Secured):
    warn_days = fields.WholeNumber(0, 3650, data_key="warnDays")
    server_name = fields.Text(253, data_key="serverName")


class _Dns(_CheckSchema):
    record_type = fields.words(
        "A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", data_key="recordType"
    )
    expected = fields.OneOrMore(fields.Text(1024), 50)
    nameserver = fields.Text(255)


class _Database(_Secured):
    engine = fields.Text(64)
    host = fields.Text(255)
    port = fields.WholeNumber(1, 65535)
    database = fields.Text(255)
    user = fields.Text(255)
    password = take.Secret(4096)
    uri = take.Secret(4096)
    ssl = plain.Boolean()


class _MemoryUsage(_CheckSchema):
    limit = take.MemoryLimit()


class _Heartbeat(_CheckSchema):
    period = fields.Duration("5s", "32d")
    grace = fields.Duration("0s", "32d")


class _Scrape(_Secured):
    endpoint = fields.Text(2048)
    url = fields.Text(2048)
    headers = take.Headers()


# https is http: the target says which.
_SCHEMAS: dict[str, _CheckSchema] = {
    "http": _Http(),
    "https": _Http(),
    "tcp": _Tcp(),
    "tls": _Tls(),
    "dns": _Dns(),
    "database_connection": _Database(),
    "external_apis": _Http(),
    "memory_usage": _MemoryUsage(),
    "response_time": _ResponseTime(),
    "heartbeat": _Heartbeat(),
    "scrape": _Scrape(),
}
_ANY_TYPE = _CheckSchema()
CHECK_TYPES = tuple(name for name in _SCHEMAS if name != "scrape")


def schema_of_check(check_type: object) -> Schema:
    """What a check of this type may say, `scrape` included; of an unknown type what each may."""
    return _SCHEMAS.get(check_type, _ANY_TYPE) if isinstance(check_type, str) else _ANY_TYPE


def read_check(declared: Mapping[str, Any], check_type: str) -> dict[str, Any]:
    """The known fields of a check, by their names on the wire.

    A secret that is sealed stays as it is stored. Raises ValueError, whose text says what is wrong
    in which field.
    """
    schema = _SCHEMAS[check_type]
    try:
        read = _loaded(declared, check_type)
    except ValidationError as error:
        messages = field_messages(error.normalized_messages(), ("_schema",))  # type: ignore[no-untyped-call]
        problem = "; ".join(f"{place}: {' '.join(said)}" for place, said in messages.items())
        raise ValueError(problem[:1000]) from error
    wire = {name: field.data_key or name for name, field in schema.fields.items()}
    return {
        wire[name]: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in read.items()
    }


def _loaded(declared: Mapping[str, Any], check_type: str) -> dict[str, Any]:
    given = {name: value for name, value in declared.items() if value not in (None, "")}
    loaded: dict[str, Any] = _SCHEMAS[check_type].load(given)
    return loaded


class Check(plain.Field[Any]):
    """A check in a list: an object whose `type` is known is judged, others report themselves."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("type"), str):
            check_type = value["type"]
            if check_type in CHECK_TYPES:
                _loaded(value, check_type)
        return value


class Scrapes(plain.Field[Any]):
    """An endpoint whose metrics are collected, or a list of them."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, dict):
            _loaded(value, "scrape")
        elif isinstance(value, list):
            problems = {}
            for number, each in enumerate(value):
                try:
                    self._deserialize(each if isinstance(each, dict) else None)
                except ValidationError as error:
                    problems[number] = error.messages
            if problems:
                raise ValidationError(problems)
        return value
