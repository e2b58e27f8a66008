"""What was scraped from a service's own endpoint becomes its metrics."""

from cms_services.monitoring.batches import Stored
from cms_services.monitoring.metrics.ingest import store_samples
from cms_services.monitoring.protocols.measurements import Decoded


def store_scrape(service_id: str, decoded: Decoded) -> Stored:
    """Store what a text in Prometheus' format held, for a service by its row id."""
    stored = store_samples(service_id, decoded.samples, distinct=True)
    stored.rejected = [*decoded.rejected, *stored.rejected]
    return stored
