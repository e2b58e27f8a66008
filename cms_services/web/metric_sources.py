"""Where both doors read a service's metrics: our own store, or the operator's Prometheus."""

from collections.abc import Collection
from datetime import timedelta

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.monitoring.metrics.from_prometheus import metrics_from_prometheus
from cms_services.monitoring.metrics.prometheus_api import PrometheusApi
from cms_services.monitoring.metrics.samples import Metrics, read_metrics
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
    settings = current_settings()
    if settings.prometheus_url is None:
        return read_metrics(actor, identifier, timeframe_text, timeframe)
    with reading():
        service_id = load_service(actor, identifier).service_id
    prometheus = PrometheusApi(settings.prometheus_url, settings.prometheus_token)
    return metrics_from_prometheus(prometheus, service_id, timeframe_text, timeframe, names)
