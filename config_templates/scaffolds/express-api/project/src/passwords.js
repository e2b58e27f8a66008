// Passwords are kept as scrypt (RFC 7914) with the parameters that OWASP recommends for 32 MiB.

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(scrypt);
const COST = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 * 1024 };
const KEY_BYTES = 32;

/** The text to store: the parameters, the salt and the key. */
export async function hashPassword(password) {
  const salt = randomBytes(16);
  const key = await derive(password, salt, KEY_BYTES, COST);
  const { N, r, p } = COST;
  return ['scrypt', N, r, p, salt.toString('base64url'), key.toString('base64url')].join('$');
}

/** Whether this is the password. Without a stored one it takes as long, and the answer is no. */
export async function isPassword(password, stored) {
  const [, N, r, p, salt, key] = (stored ?? (await anyStored())).split('$');
  const cost = { N: Number(N), r: Number(r), p: Number(p), maxmem: COST.maxmem };
  const derived = await derive(password, Buffer.from(salt, 'base64url'), KEY_BYTES, cost);
  return timingSafeEqual(derived, Buffer.from(key, 'base64url')) && stored !== undefined;
}

let placeholder;
const anyStored = () => (placeholder ??= hashPassword(randomBytes(16).toString('hex')));
