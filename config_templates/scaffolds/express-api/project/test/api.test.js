import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serve } from '../testing/serve.js';

const ADA = { email: 'ada@example.com', password: 'correct horse battery', name: 'Ada' };
const BOB = { email: 'bob@example.com', password: 'staple battery horse', name: 'Bob' };
let service, ada, bob;

before(async () => {
  service = await serve({ AUTH_RATE_LIMIT_PER_MINUTE: '100' });
  ada = (await service.post('/auth/register', ADA)).body.accessToken;
  bob = (await service.post('/auth/register', BOB)).body.accessToken;
});
after(() => service.close());

test('registering and logging in give a token that says who one is', async () => {
  const login = await service.post('/auth/login', { ...ADA, name: undefined });
  assert.equal(login.status, 200);
  const me = await service.get('/users/me', login.body.accessToken);
  assert.equal(me.status, 200);
  assert.deepEqual([me.body.email, me.body.name], [ADA.email, ADA.name]);
  assert.doesNotMatch(JSON.stringify([login.body, me.body]), /password|scrypt|horse/i);
});

test('an address has one account, however it is written', async () => {
  const again = await service.post('/auth/register', { ...ADA, email: ' ADA@Example.com' });
  assert.deepEqual([again.status, again.body.error.code], [409, 'EMAIL_TAKEN']);
});

test('a wrong password and an unknown address are refused alike', async () => {
  const [wrong, unknown] = await Promise.all([
    service.post('/auth/login', { email: ADA.email, password: 'incorrect horse' }),
    service.post('/auth/login', { email: 'eve@example.com', password: ADA.password }),
  ]);
  assert.equal(wrong.status, 401);
  assert.deepEqual(wrong.body, unknown.body);
});

for (const token of [undefined, 'nonsense', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.']) {
  test(`the token ${token} opens nothing`, async () => {
    for (const path of ['/users/me', '/data']) {
      const answer = await service.get(path, token);
      assert.deepEqual([answer.status, answer.body.error.code], [401, 'UNAUTHORIZED']);
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
    }
  });
}

test('a token of another secret or one that is over opens nothing', async () => {
  const { createTokens } = await import('../src/tokens.js');
  const { id } = (await service.get('/users/me', ada)).body;
  for (const changed of [{ JWT_SECRET: 'x'.repeat(32) }, { JWT_LIFETIME_SECONDS: -1 }]) {
    const token = await createTokens({ ...service.config, ...changed }).issue(id);
    assert.equal((await service.get('/users/me', token)).status, 401);
  }
});

test('an item is made, read, changed, listed and deleted', async () => {
  const made = await service.post('/data', { name: 'First', content: 'text' }, ada);
  assert.equal(made.status, 201);
  const path = made.headers.get('location');
  assert.deepEqual((await service.get(path, ada)).body, made.body);
  const changed = await service.send('PUT', path, { name: 'Second' }, ada);
  assert.deepEqual([changed.body.name, changed.body.content], ['Second', '']);
  const next = await service.post('/data', { name: 'Third' }, ada);
  const page = await service.get('/data?limit=1', ada);
  assert.deepEqual(page.body.items, [changed.body]);
  const rest = await service.get(`/data?after=${changed.body.id}`, ada);
  assert.deepEqual(rest.body.items, [next.body]);
  assert.equal((await service.send('DELETE', path, undefined, ada)).status, 204);
  assert.equal((await service.get(path, ada)).status, 404);
});

test('the items of others are not there', async () => {
  const { id } = (await service.post('/data', { name: 'Secret' }, ada)).body;
  for (const [method, body] of [['GET'], ['PUT', { name: 'Taken' }], ['DELETE']]) {
    const answer = await service.send(method, `/data/${id}`, body, bob);
    assert.deepEqual([answer.status, answer.body.error.code], [404, 'NOT_FOUND']);
  }
  assert.deepEqual((await service.get('/data', bob)).body.items, []);
  assert.equal((await service.get(`/data/${id}`, ada)).body.name, 'Secret');
});

for (const body of [
  {},
  [],
  { name: '' },
  { name: 'x'.repeat(201) },
  { name: { $ne: '' } },
  { name: 'x', userId: 'somebody else' },
]) {
  test(`the item ${JSON.stringify(body).slice(0, 40)} is refused`, async () => {
    const answer = await service.post('/data', body, ada);
    assert.deepEqual([answer.status, answer.body.error.code], [400, 'VALIDATION_FAILED']);
  });
}

for (const [field, value] of [
  ['email', 'no address'],
  ['email', { $gt: '' }],
  ['password', 'short'],
  ['name', ''],
  ['admin', true],
]) {
  test(`an account with the ${field} ${JSON.stringify(value)} is refused`, async () => {
    const body = { ...ADA, email: 'new@example.com', [field]: value };
    const answer = await service.post('/auth/register', body);
    assert.deepEqual([answer.status, answer.body.error.code], [400, 'VALIDATION_FAILED']);
    assert.match(answer.body.error.message, new RegExp(field));
  });
}
