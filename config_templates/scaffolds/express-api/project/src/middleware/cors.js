import cors from 'cors';

/** Pages of these origins may call the API; without any, no page of another origin can. */
export const createCors = (config) =>
  cors({
    origin: config.CORS_ORIGINS,
    exposedHeaders: ['X-Request-Id', 'RateLimit', 'RateLimit-Policy', 'Retry-After'],
    maxAge: 600,
  });
