import { randomUUID } from 'node:crypto';

const REQUEST_ID = /^[\w.-]{1,64}$/;
const OFTEN_ASKED = new Set(['/health', '/metrics']);

/** Gives each request an id and a logger, and logs and measures its answer. */
export const createObserver = (log, metrics) => (request, response, next) => {
  const start = process.hrtime.bigint();
  const given = request.get('x-request-id') ?? '';
  request.id = REQUEST_ID.test(given) ? given : randomUUID();
  request.log = log.child({ requestId: request.id });
  response.set('X-Request-Id', request.id);

  response.on('close', () => {
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    // The template, since paths themselves would make a series each. Routes have full paths.
    const route = request.route?.path ?? 'none';
    const { method } = request;
    const status = response.statusCode;
    metrics.observe({ method, route, status }, seconds);
    const level = OFTEN_ASKED.has(route) ? 'debug' : 'info';
    const fields = { method, route, path: request.path, status, seconds };
    request.log[level](fields, `${method} ${request.path} ${status}`);
  });
  next();
};
