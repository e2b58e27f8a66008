// The log: JSON lines on stdout, and the same entries to the CMS where it is configured.

import pino from 'pino';

/** A logger that writes to these streams; each gets whole lines of JSON by write(line). */
export function createLog(config, streams = [process.stdout]) {
  return pino(
    {
      level: config.LOG_LEVEL,
      base: undefined,
      messageKey: 'message',
      errorKey: 'error',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.multistream(streams.map((stream) => ({ level: 'debug', stream }))),
  );
}
