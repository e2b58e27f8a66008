// Asks this machine's own service whether it is well: the HEALTHCHECK of the image.

import { readConfig } from './config.js';

const { HOST = '127.0.0.1', PORT } = readConfig();
const host = ['0.0.0.0', '::'].includes(HOST) ? '127.0.0.1' : HOST;
const answer = await fetch(`http://${host}:${PORT}/health`, { signal: AbortSignal.timeout(4000) });
process.exit(answer.ok ? 0 : 1);
