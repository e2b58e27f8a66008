"""services.php: logs, metrics and health."""

from typing import Any

from cms_services.actor import Actor
from cms_services.durations import parse_timeframe
from cms_services.monitoring.logs.search import list_entries
from cms_services.vocabulary import LogLevel
from cms_services.web.bodies import instance_of
from cms_services.web.health_check import check_now
from cms_services.web.metric_sources import metrics_of
from cms_services.web.rows import dump_rows
from cms_services.web.schemas.health import HealthOut
from cms_services.web.schemas.logs import LogEntryOut
from cms_services.web.schemas.metrics import MetricsOut

Parameters = dict[str, Any]


def get_logs(actor: Actor, given: Parameters) -> list[dict[str, Any]]:
    wanted = dict(given)
    service_id = wanted.pop("service_id")
    wanted["level"] = LogLevel(given["level"]) if given["level"] else None
    return dump_rows(LogEntryOut, list_entries(actor, service_id, **wanted).items)


def get_metrics(actor: Actor, given: Parameters) -> Any:
    text = given["timeframe"]
    found = metrics_of(actor, given["service_id"], text, parse_timeframe(text))
    return instance_of(MetricsOut).dump(found)


def health_check(actor: Actor, given: Parameters) -> Any:
    return instance_of(HealthOut).dump(check_now(actor, given["service_id"]))
