"""What was scraped from a service's own endpoint becomes its metrics."""

from datetime import datetime

from cms_services.monitoring.batches import Stored
from cms_services.monitoring.metrics.ingest import store_samples
from cms_services.monitoring.protocols.prometheus_text import decode_text


def store_scrape(service_id: str, text: str, at: datetime) -> Stored:
    """Store a text in Prometheus' format, scraped at a moment, for a service by its row id.

    Raises ValueError for what is no such text.
    """
    decoded = decode_text(text, at)
    stored = store_samples(service_id, decoded.samples, distinct=True)
    stored.rejected = [*decoded.rejected, *stored.rejected]
    return stored
