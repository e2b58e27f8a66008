import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serve } from '../testing/serve.js';

let service;

before(async () => {
  service = await serve({
    AUTH_RATE_LIMIT_PER_MINUTE: '2',
    BODY_LIMIT_BYTES: '200',
    CORS_ORIGINS: 'https://app.example.com, https://other.example.com',
  });
});
after(() => service.close());

const raw = (body) =>
  service.fetch('/data', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });

test('errors have one shape and tell nothing of the inside', async () => {
  for (const [answer, status, code] of [
    [await service.get('/nowhere'), 404, 'NOT_FOUND'],
    [await service.get('/%ff'), 404, 'NOT_FOUND'],
    [await raw('{"name":'), 400, 'BAD_REQUEST'],
    [await raw(JSON.stringify({ name: 'x'.repeat(300) })), 413, 'BODY_TOO_LARGE'],
  ]) {
    assert.deepEqual([answer.status, answer.body.error.code], [status, code]);
    assert.deepEqual(Object.keys(answer.body), ['error']);
    assert.deepEqual(Object.keys(answer.body.error), ['code', 'message']);
    assert.doesNotMatch(answer.body.error.message, /node_modules|src\/|JSON/);
  }
});

test('signing in is limited more than the rest', async () => {
  const statuses = [];
  for (let count = 0; count < 3; count += 1) {
    const answer = await service.post('/auth/login', {});
    statuses.push(answer.status);
    if (answer.status === 429) {
      assert.equal(answer.body.error.code, 'RATE_LIMITED');
      assert.ok(Number(answer.headers.get('retry-after')) > 0);
    }
  }
  assert.deepEqual(statuses, [400, 400, 429]);
  assert.equal((await service.get('/users/me')).status, 401);
});

test('a request keeps the id it was given, if that is one', async () => {
  const idOf = async (given) => {
    const { headers } = await service.fetch('/health', { headers: { 'x-request-id': given } });
    return headers.get('x-request-id');
  };
  assert.equal(await idOf('abc-123'), 'abc-123');
  assert.match(await idOf('not an id'), /^[0-9a-f-]{36}$/);
});

test('pages of the listed origins, and no others, may call', async () => {
  for (const [origin, allowed] of [
    ['https://app.example.com', 'https://app.example.com'],
    ['https://evil.example.com', null],
  ]) {
    const { headers } = await service.fetch('/users/me', { headers: { origin } });
    assert.equal(headers.get('access-control-allow-origin'), allowed);
  }
});

test('answers say what browsers and caches must not do with them', async () => {
  const { headers } = await service.get('/users/me');
  assert.match(headers.get('content-security-policy'), /default-src 'none'/);
  assert.equal(headers.get('x-content-type-options'), 'nosniff');
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.equal(headers.get('x-powered-by'), null);
});

test('requests are measured by the template of their route', async () => {
  await service.get('/data/1');
  await service.get('/data/2');
  const { headers, text } = await service.get('/metrics');
  assert.match(headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  const labels = 'method="GET",route="/data/:id",status="401"';
  assert.ok(text.includes(`http_request_duration_seconds_count{${labels}} 2`), text);
  assert.doesNotMatch(text, /nowhere/);
});
