// The application, put together from its parts; it listens on nothing yet.

import express from 'express';
import { createMetrics } from './metrics.js';
import { createAuthenticator } from './middleware/authenticate.js';
import { createCors } from './middleware/cors.js';
import { answerErrors, refuseUnknownPaths } from './middleware/errors.js';
import { createHelmet } from './middleware/helmet.js';
import { createObserver } from './middleware/observe.js';
import { createRateLimit } from './middleware/rateLimit.js';
import { authRoutes } from './routes/auth.js';
import { dataRoutes } from './routes/data.js';
import { statusRoutes } from './routes/status.js';
import { usersRoutes } from './routes/users.js';
import { createTokens } from './tokens.js';

export function createApp({ config, log, store }) {
  const metrics = createMetrics();
  const tokens = createTokens(config);
  const authenticate = createAuthenticator(store, tokens);
  const limit = createRateLimit(config.AUTH_RATE_LIMIT_PER_MINUTE);

  const app = express();
  app.set('trust proxy', config.TRUSTED_PROXIES);
  app.set('etag', false);
  app.use(createObserver(log, metrics), createHelmet(), forbidCaching);
  // Before the limits: whoever watches the service must not be turned away.
  app.use(statusRoutes({ store, metrics }));
  app.use(createCors(config), createRateLimit(config.RATE_LIMIT_PER_MINUTE));
  app.use(express.json({ limit: config.BODY_LIMIT_BYTES }));
  // Each route states its full path, which is also what its requests are measured by.
  app.use(authRoutes({ store, tokens, limit }));
  app.use(usersRoutes({ authenticate }));
  app.use(dataRoutes({ store, authenticate }));
  app.use(refuseUnknownPaths, answerErrors);
  return app;
}

/** Answers hold tokens and what belongs to one person. */
function forbidCaching(request, response, next) {
  response.set('Cache-Control', 'no-store');
  next();
}
