// Starts the service, and stops it without cutting off anybody.

import { createServer } from 'node:http';
import { createApp } from './app.js';
import { readConfig } from './config.js';
import { LogShipper } from './log-shipping.js';
import { createLog } from './log.js';
import { createStore } from './store/index.js';

const config = configOrExit();
const shipper =
  config.CMS_URL && config.CMS_INGEST_TOKEN
    ? new LogShipper({
        url: config.CMS_URL,
        serviceId: config.CMS_SERVICE_ID,
        token: config.CMS_INGEST_TOKEN,
      })
    : undefined;
const log = createLog(config, shipper ? [process.stdout, shipper] : undefined);
const store = createStore(config);
const server = createServer(createApp({ config, log, store }));

server.requestTimeout = 30_000;
// Longer than proxies keep theirs, so that they never write to a connection that just closed.
server.keepAliveTimeout = 65_000;
server.on('error', (error) => end(error, 'can not listen'));
server.listen(config.PORT, config.HOST, announce);

let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => stop(signal));
process.on('uncaughtException', (error) => end(error, 'an error that nothing caught'));

function announce() {
  const { port } = server.address();
  log.info({ port, service: config.name, database: store.kind }, `listening on port ${port}`);
  if (store.kind === 'memory') {
    log.warn('MONGODB_URL is not set: data is kept in memory and lost when the service stops');
  }
  if (config.secretIsTemporary) {
    log.warn('JWT_SECRET is not set: access tokens end when the service stops');
  }
}

/** Finish the requests that have begun, then leave. */
async function stop(signal) {
  if (stopping) return;
  stopping = true;
  log.info({ signal }, 'stopping');
  const cutOff = setTimeout(() => server.closeAllConnections(), config.SHUTDOWN_SECONDS * 1000);
  // Connections that become idle from now on would be kept for a next request.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  await new Promise((resolve) => server.close(resolve));
  clearTimeout(cutOff);
  clearInterval(sweep);
  await store.close();
  log.info('stopped');
  await shipper?.close();
  process.exit(0);
}

async function end(error, message) {
  log.fatal({ error }, message);
  await shipper?.close();
  process.exit(1);
}

function configOrExit() {
  try {
    process.loadEnvFile();
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  try {
    return readConfig();
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
