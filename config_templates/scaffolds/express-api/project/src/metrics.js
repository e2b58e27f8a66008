// What Prometheus reads at /metrics.

import { Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'How long requests took; its _count is how many there were.',
    labelNames: ['method', 'route', 'status'],
    registers: [registry],
  });
  return { registry, observe: (labels, seconds) => duration.observe(labels, seconds) };
}
