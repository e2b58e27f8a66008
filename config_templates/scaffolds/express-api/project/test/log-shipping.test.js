import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';
import { LogShipper } from '../src/log-shipping.js';

let cms, requests, statuses;

/** A log ingest that gives these statuses one after the other, and then 202. */
beforeEach(async () => {
  [requests, statuses] = [[], []];
  cms = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method, url, headers } = request;
    requests.push({ method, url, headers, entries: JSON.parse(body).entries });
    response.writeHead(statuses.shift() ?? 202).end('{}');
  });
  await new Promise((resolve) => cms.listen(0, '127.0.0.1', resolve));
});
afterEach(() => cms.close());

const shipperOf = (limits) =>
  new LogShipper({
    url: `http://127.0.0.1:${cms.address().port}/`,
    serviceId: '12/3',
    token: 'cms_ingest_x',
    pauseMs: 1,
    ...limits,
  });

const line = (message, more) => JSON.stringify({ level: 'info', message, ...more });
const messages = () => requests.map(({ entries }) => entries.map(({ message }) => message));

async function until(holds) {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

test('what was logged arrives in one batch', async () => {
  const shipper = shipperOf();
  shipper.write(line('one', { level: 'fatal', timestamp: '2026-01-02T03:04:05.678Z' }));
  shipper.write(line('two \ud800', { requestId: 'r1', status: 200 }));
  await shipper.close();
  const [{ method, url, headers, entries }] = requests;
  assert.deepEqual([method, url], ['POST', '/api/services/12%2F3/logs']);
  assert.equal(headers.authorization, 'Bearer cms_ingest_x');
  const [one, two] = entries;
  assert.deepEqual([one.level, one.timestamp], ['error', '2026-01-02T03:04:05.678Z']);
  assert.deepEqual([two.level, two.traceId], ['info', 'r1']);
  assert.deepEqual([two.message, two.attributes], ['two \ufffd', { status: 200 }]);
  assert.equal(requests.length, 1);
});

test('a batch that failed comes again, as itself', async () => {
  statuses = [503, 429];
  const shipper = shipperOf();
  shipper.write(line('one'));
  await until(() => requests.length === 3);
  await shipper.close();
  assert.equal(new Set(requests.map(({ entries }) => entries[0].id)).size, 1);
});

test('a batch that is refused for good is given up, and the next one sent', async () => {
  statuses = [401];
  const shipper = shipperOf();
  shipper.write(line('one'));
  await until(() => requests.length === 1);
  shipper.write(line('two'));
  await until(() => requests.length === 2);
  await shipper.close();
  assert.deepEqual(messages(), [['one'], ['two']]);
});

test('a buffer that is full loses its oldest entries and says how many', async () => {
  const shipper = shipperOf({ bufferBytes: 600 });
  for (const number of [1, 2, 3, 4, 5]) shipper.write(line(`${number} ${'x'.repeat(100)}`));
  await shipper.close();
  const [[first, second, last]] = messages();
  assert.match(first, /^4 /);
  assert.match(second, /^5 /);
  assert.equal(last, '3 log entries were dropped');
});

test('closing waits no longer than it was told', async () => {
  cms.removeAllListeners('request');
  const shipper = shipperOf();
  shipper.write(line('one'));
  const start = performance.now();
  await shipper.close(50);
  assert.ok(performance.now() - start < 1000);
  cms.closeAllConnections();
});
