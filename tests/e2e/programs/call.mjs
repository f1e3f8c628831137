// Calls the URLs of $URLS in turn, $WIDTH at a time with $PAUSE_MS between two calls of each, every call over its
// own connection, and prints the results so far once a second: {"ok", "failed", "failures"}. Ends on SIGTERM.

import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const urls = (process.env.URLS ?? '').split(' ');
const pauseMs = Number(process.env.PAUSE_MS);
/** @type {{ ok: number, failed: number, failures: string[] }} */
const tally = { ok: 0, failed: 0, failures: [] };

/**
 * @param {string} url
 * @returns {Promise<string | undefined>} why it failed
 */
function call(url) {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 10_000 }, (response) => {
      response.resume();
      response.once('end', () =>
        resolve(response.statusCode === 200 ? undefined : `HTTP ${response.statusCode}`),
      );
      response.once('error', (error) => resolve(error.message));
    });
    request.once('timeout', () => request.destroy(new Error('no answer within 10 s')));
    request.once('error', (error) => resolve(error.message));
  });
}

async function caller() {
  for (let turn = 0; ; turn += 1) {
    const url = urls[turn % urls.length] ?? '';
    const failure = await call(url);
    if (failure === undefined) tally.ok += 1;
    else {
      tally.failed += 1;
      if (tally.failures.length < 20) tally.failures.push(`${new Date().toISOString()} ${url}: ${failure}`);
    }
    await delay(pauseMs);
  }
}

for (let width = Number(process.env.WIDTH); width > 0; width -= 1) caller();
setInterval(() => process.stdout.write(`${JSON.stringify(tally)}\n`), 1000);
process.once('SIGTERM', () => process.exit());
