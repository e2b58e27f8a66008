// What those who run the service ask: is it well, and what does it measure.

import { setTimeout as sleep } from 'node:timers/promises';
import { Router } from 'express';

const LONGEST_PING_MS = 3000;

export function statusRoutes({ store, metrics }) {
  const router = Router();

  router.get('/health', async (request, response) => {
    const problem = await problemOf(store);
    if (problem) request.log.error({ error: problem }, 'the database does not answer');
    const status = problem ? 'unhealthy' : 'healthy';
    const checks = { database: { status, kind: store.kind } };
    response.status(problem ? 503 : 200).json({ status, checks });
  });

  router.get('/metrics', async (request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });

  return router;
}

async function problemOf(store) {
  const cancel = new AbortController();
  const late = sleep(LONGEST_PING_MS, new Error('no answer in time'), { signal: cancel.signal });
  try {
    return await Promise.race([store.ping(), late]);
  } catch (error) {
    return error;
  } finally {
    cancel.abort();
  }
}
