import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('../src/server.js', import.meta.url));
const start = (env) => spawn(process.execPath, [SERVER], { env: { ...process.env, ...env } });
const ended = (child) => new Promise((resolve) => child.on('exit', resolve));

test('the service logs lines of JSON and stops when it is told to', async () => {
  const child = start({ PORT: '0', HOST: '127.0.0.1', MONGODB_URL: '', LOG_LEVEL: 'info' });
  const lines = [];
  for await (const text of createInterface(child.stdout)) {
    const entry = JSON.parse(text);
    lines.push(entry);
    if (entry.port) {
      const answer = await fetch(`http://127.0.0.1:${entry.port}/nowhere?secret=1`);
      assert.equal(answer.status, 404);
    }
    if (entry.path === '/nowhere') child.kill('SIGTERM');
  }
  assert.equal(await ended(child), 0);
  assert.equal(lines.at(-1).message, 'stopped');
  assert.ok(lines.some(({ level, message }) => level === 'warn' && /MONGODB_URL/.test(message)));
  assert.doesNotMatch(JSON.stringify(lines), /secret=1/);
});

test('the service does not start in production without a secret, and says so', async () => {
  const child = start({ NODE_ENV: 'production', JWT_SECRET: '' });
  let stderr = '';
  child.stderr.on('data', (text) => (stderr += text));
  assert.equal(await ended(child), 1);
  assert.match(stderr, /JWT_SECRET/);
});
