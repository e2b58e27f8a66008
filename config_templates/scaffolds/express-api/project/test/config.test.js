import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../src/config.js';

test('nothing has to be set for a first start', () => {
  const { PORT, NODE_ENV, secretIsTemporary } = readConfig({});
  assert.ok(PORT > 0);
  assert.deepEqual([NODE_ENV, secretIsTemporary], ['development', true]);
});

test('empty variables count as not set', () => {
  assert.equal(readConfig({ MONGODB_URL: '', PORT: '' }).MONGODB_URL, undefined);
});

for (const [name, env] of [
  ['PORT', { PORT: 'http' }],
  ['JWT_SECRET', { JWT_SECRET: 'x'.repeat(31) }],
  ['JWT_SECRET', { NODE_ENV: 'production' }],
  ['MONGODB_URL', { MONGODB_URL: 'postgres://localhost' }],
  ['CMS_URL', { CMS_URL: 'ftp://cms.example.com' }],
]) {
  test(`${JSON.stringify(env)} is refused by name`, () => {
    assert.throws(() => readConfig(env), (error) => error.message.includes(`${name}: `));
  });
}
