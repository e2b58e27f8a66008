// Sends log entries to the CMS in batches, behind the back of the requests that wrote them.
//
// What can't be sent is kept within bounds and tried again. When the buffer is full the oldest
// entries go first, and a later entry says how many.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const LEVELS = { trace: 'debug', fatal: 'error' };
const MESSAGE_LENGTH = 8192;
const ENTRY_BYTES = 32 * 1024;
const REQUEST_MS = 10_000;
// Any other refusal would come again for the same entries.
const WORTH_ANOTHER_TRY = new Set([408, 425, 429, 500, 502, 503, 504]);

export class LogShipper {
  #queue = [];
  #bytes = 0;
  #dropped = 0;
  #running = null;
  #closing = new AbortController();

  constructor({ url, serviceId, token, ...limits }) {
    this.url = `${url.replace(/\/+$/, '')}/api/services/${encodeURIComponent(serviceId)}/logs`;
    this.token = token;
    this.bufferBytes = limits.bufferBytes ?? 2 * 1024 * 1024;
    this.batchBytes = limits.batchBytes ?? 256 * 1024;
    this.pauseMs = limits.pauseMs ?? 1000;
    this.longestPauseMs = limits.longestPauseMs ?? 60_000;
  }

  /** Take one line of the log, without waiting. */
  write(line) {
    this.#add(entryOf(JSON.parse(line)));
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Send what is left without further pauses. Gives up at the first failure, or after so long. */
  async close(milliseconds = 3000) {
    this.#closing.abort();
    await Promise.race([this.#running, sleep(milliseconds, undefined, { ref: false })]);
  }

  async #run() {
    for (let failures = 0; this.#queue.length; ) {
      await this.#pause(failures);
      const batch = this.#takeBatch();
      if (await this.#isSent(batch)) {
        failures = 0;
      } else if (this.#closing.signal.aborted) {
        return;
      } else {
        failures += 1;
        this.#putBack(batch);
      }
    }
  }

  /** Whether the batch is done with: accepted, or refused for good. */
  async #isSent(batch) {
    try {
      const answer = await fetch(this.url, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
        body: `{"entries":[${batch.join(',')}]}`,
        // The token is for this address alone.
        redirect: 'error',
        signal: AbortSignal.timeout(REQUEST_MS),
      });
      await answer.arrayBuffer();
      if (WORTH_ANOTHER_TRY.has(answer.status)) return false;
      if (!answer.ok) complain(`${batch.length} log entries were refused with ${answer.status}`);
      return true;
    } catch {
      return false;
    }
  }

  async #pause(failures) {
    const longest = Math.min(this.pauseMs * 2 ** failures, this.longestPauseMs);
    // Without chance in it all instances would come back at the same moment.
    const milliseconds = failures ? longest * (0.5 + Math.random() / 2) : longest;
    const options = { signal: this.#closing.signal, ref: false };
    await sleep(milliseconds, undefined, options).catch(() => {});
  }

  #add(entry) {
    // Half of a character, which JSON.stringify writes as an escape, is no valid text elsewhere.
    const text = JSON.stringify(entry).replace(/\\ud[89a-f][0-9a-f]{2}/g, '\\ufffd');
    this.#queue.push(text);
    this.#bytes += Buffer.byteLength(text);
    this.#dropOldest();
  }

  #putBack(batch) {
    this.#queue.unshift(...batch);
    this.#bytes += batch.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    this.#dropOldest();
  }

  #dropOldest() {
    while (this.#bytes > this.bufferBytes) {
      this.#bytes -= Buffer.byteLength(this.#queue.shift());
      this.#dropped += 1;
    }
  }

  #takeBatch() {
    if (this.#dropped) {
      const message = `${this.#dropped} log entries were dropped`;
      this.#dropped = 0;
      this.#queue.push(JSON.stringify(entryOf({ level: 'warn', message })));
    }
    const batch = [];
    for (let bytes = 0; this.#queue.length && bytes < this.batchBytes; ) {
      batch.push(this.#queue.shift());
      bytes += Buffer.byteLength(batch.at(-1));
      this.#bytes -= Buffer.byteLength(batch.at(-1));
    }
    return batch;
  }
}

function entryOf({ level, timestamp, message, requestId, ...attributes }) {
  const entry = {
    // By it a batch that is sent twice is stored once.
    id: randomUUID(),
    timestamp: timestamp ?? new Date().toISOString(),
    level: LEVELS[level] ?? level,
    message: String(message || 'without a message').slice(0, MESSAGE_LENGTH),
    source: 'express',
    traceId: requestId,
  };
  const isSmall = JSON.stringify(attributes).length < ENTRY_BYTES;
  return { ...entry, attributes: isSmall ? attributes : { leftOut: 'too large' } };
}

/** The log itself would be sent the same way, so this goes to stderr alone. */
function complain(message) {
  process.stderr.write(`${JSON.stringify({ level: 'error', message, source: 'log-shipping' })}\n`);
}
