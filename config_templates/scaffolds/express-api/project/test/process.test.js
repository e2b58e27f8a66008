import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('../src/server.js', import.meta.url));
// Empty ones, so that a .env file here does not count.
const ENV = { ...process.env, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'info' };
const NOT_SET = { NODE_ENV: '', MONGODB_URL: '', JWT_SECRET: '', CMS_URL: '' };
const start = (env) => spawn(process.execPath, [SERVER], { env: { ...ENV, ...NOT_SET, ...env } });
const ended = (child) => new Promise((resolve) => child.on('exit', resolve));

test('the service logs lines of JSON and stops when it is told to', async () => {
  const child = start();
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

test('a request that has begun is answered before the service stops', async () => {
  const child = start();
  let socket;
  let answer = '';
  for await (const text of createInterface(child.stdout)) {
    const { port, message } = JSON.parse(text);
    if (port) {
      socket = connect(port, '127.0.0.1').on('data', (data) => (answer += data));
      socket.write('POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n');
      socket.write('Content-Length: 2\r\n\r\n{');
      setTimeout(() => child.kill('SIGTERM'), 200);
    }
    if (message === 'stopping') socket.write('}');
  }
  assert.equal(await ended(child), 0);
  assert.match(answer, /^HTTP\/1\.1 400 /);
});

test('the service does not start in production without a secret, and says so', async () => {
  const child = start({ NODE_ENV: 'production' });
  let stderr = '';
  child.stderr.on('data', (text) => (stderr += text));
  assert.equal(await ended(child), 1);
  assert.match(stderr, /JWT_SECRET/);
});
