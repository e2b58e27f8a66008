// Everything that can be set, read from environment variables once at start.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const service = JSON.parse(readFileSync(new URL('../service.json', import.meta.url), 'utf8'));

const origins = z
  .string()
  .transform((text) => text.split(',').map((each) => each.trim()).filter(Boolean));

const settings = z.object({
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  HOST: z.string().optional(),
  PORT: z.coerce.number().int().min(0).max(65535).default(service.port),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  MONGODB_URL: z.string().regex(/^mongodb(\+srv)?:\/\//, 'Takes a mongodb:// URL.').optional(),
  JWT_SECRET: z
    .string()
    .refine((text) => Buffer.byteLength(text) >= 32, 'Takes at least 32 bytes.')
    .optional(),
  JWT_LIFETIME_SECONDS: z.coerce.number().int().min(60).default(3600),
  CORS_ORIGINS: origins.default([]),
  TRUSTED_PROXIES: z.coerce.number().int().min(0).default(0),
  BODY_LIMIT_BYTES: z.coerce.number().int().min(1).default(100 * 1024),
  RATE_LIMIT_PER_MINUTE: z.coerce.number().int().min(1).default(300),
  AUTH_RATE_LIMIT_PER_MINUTE: z.coerce.number().int().min(1).default(10),
  SHUTDOWN_SECONDS: z.coerce.number().min(0).default(10),
  CMS_URL: z.url({ protocol: /^https?$/ }).optional(),
  CMS_SERVICE_ID: z.string().default(service.serviceId),
  CMS_INGEST_TOKEN: z.string().optional(),
});

/** The configuration. Throws an Error that names every variable that can't be used. */
export function readConfig(env = process.env) {
  // An empty variable is one that is not set: that is how compose files and CI leave them out.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const { data, error } = settings.safeParse(given);
  const problems = (error?.issues ?? []).map((each) => `${each.path.join('.')}: ${each.message}`);
  if (given.NODE_ENV === 'production' && !given.JWT_SECRET) {
    problems.push('JWT_SECRET: Must be set in production.');
  }
  if (problems.length) throw new Error(`The environment can't be used. ${problems.join(' ')}`);
  return Object.freeze({
    ...data,
    name: service.name,
    // Tokens of a secret that nobody chose end with the process.
    JWT_SECRET: data.JWT_SECRET ?? randomBytes(32).toString('base64url'),
    secretIsTemporary: !data.JWT_SECRET,
  });
}
