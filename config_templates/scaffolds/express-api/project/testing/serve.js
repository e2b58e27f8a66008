// Runs the application inside a test, on a port of its own.

import { createServer } from 'node:http';
import { createApp } from '../src/app.js';
import { readConfig } from '../src/config.js';
import { createLog } from '../src/log.js';
import { createStore } from '../src/store/index.js';

export async function serve(env = {}) {
  const config = readConfig({ NODE_ENV: 'test', LOG_LEVEL: 'silent', ...env });
  const store = createStore(config);
  const server = createServer(createApp({ config, log: createLog(config), store }));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const root = `http://127.0.0.1:${server.address().port}`;

  async function request(path, options) {
    const answer = await fetch(root + path, options);
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.startsWith('application/json');
    return {
      status: answer.status,
      headers: answer.headers,
      text,
      body: isJson ? JSON.parse(text) : undefined,
    };
  }

  function send(method, path, body, token) {
    const headers = {};
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (token) headers.authorization = `Bearer ${token}`;
    return request(path, { method, headers, body: JSON.stringify(body) });
  }

  return {
    config,
    fetch: request,
    send,
    get: (path, token) => send('GET', path, undefined, token),
    post: (path, body, token) => send('POST', path, body, token),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await store.close();
    },
  };
}
