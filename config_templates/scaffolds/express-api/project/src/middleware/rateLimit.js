import { rateLimit } from 'express-rate-limit';
import { ApiError } from '../errors.js';

/**
 * So many requests a minute for each address.
 * It counts in this process: several instances allow several times as many.
 */
export const createRateLimit = (limit) =>
  rateLimit({
    windowMs: 60_000,
    limit,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // Whether the header counts is decided by TRUSTED_PROXIES; others may send what they like.
    validate: { xForwardedForHeader: false },
    handler: (request, response, next) =>
      next(new ApiError(429, 'RATE_LIMITED', 'Too many requests; try again later.')),
  });
