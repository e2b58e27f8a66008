"""Where both doors read a service's metrics: our own store, or the operator's Prometheus."""

from collections.abc import Collection
from datetime import timedelta

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.monitoring.metrics.from_prometheus import (
    metrics_from_prometheus,
    percentiles_from_prometheus,
)
from cms_services.monitoring.metrics.percentile_series import PercentileSeries, read_percentiles
from cms_services.monitoring.metrics.prometheus_api import PrometheusApi
from cms_services.monitoring.metrics.reading import Metrics, read_metrics
from cms_services.settings import current_settings
from cms_services.web.transactions import reading


def metrics_of(
    actor: Actor,
    identifier: str,
    timeframe_text: str,
    timeframe: timedelta,
    names: Collection[str] | None = None,
) -> Metrics:
    """A service's metrics of the timeframe that ends now; `names` narrows them.

    No transaction is open while Prometheus is asked. Raises as load_service() does, UpstreamError
    and UpstreamTimeout.
    """
    prometheus = _prometheus()
    if prometheus is None:
        return read_metrics(actor, identifier, timeframe_text, timeframe, names)
    number = _number(actor, identifier)
    return metrics_from_prometheus(prometheus, number, timeframe_text, timeframe, names)


def percentiles_of(
    actor: Actor,
    identifier: str,
    timeframe_text: str,
    timeframe: timedelta,
    names: Collection[str] | None = None,
) -> PercentileSeries:
    """The percentiles of a service's histograms over time. Raises as metrics_of() does."""
    prometheus = _prometheus()
    if prometheus is None:
        return read_percentiles(actor, identifier, timeframe_text, timeframe, names)
    number = _number(actor, identifier)
    return percentiles_from_prometheus(prometheus, number, timeframe_text, timeframe, names)


def _prometheus() -> PrometheusApi | None:
    """The operator's, where there is one."""
    settings = current_settings()
    if settings.prometheus_url is None:
        return None
    return PrometheusApi(settings.prometheus_url, settings.prometheus_token)


def _number(actor: Actor, identifier: str) -> str:
    """The public number of a service that the caller may read; no transaction is left open."""
    with reading():
        return load_service(actor, identifier).service_id
