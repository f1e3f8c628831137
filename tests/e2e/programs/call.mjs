// Calls the URLs of $URLS in turn, $WIDTH at a time with $PAUSE_MS between two calls of each, every call over its
// own connection, and prints the results so far once a second: {"ok", "failed", "failures", "gapMs"}, the last one being
// the longest time without a success. https: with $AUTHORITY, $SERVER and $TOKEN, for Vault. Ends
// on SIGTERM.

import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';

const urls = (process.env.URLS ?? '').split(' ');
const pauseMs = Number(process.env.PAUSE_MS);
const { AUTHORITY: ca, SERVER: servername, TOKEN: token = '' } = process.env;
/** @type {{ ok: number, failed: number, failures: string[], gapMs: number }} */
const tally = { ok: 0, failed: 0, failures: [], gapMs: 0 };
let lastMs = Date.now();

/**
 * @param {string} url
 * @returns {Promise<string | undefined>} why it failed
 */
function call(url) {
  return new Promise((resolve) => {
    const get = url.startsWith('https:') ? getHttps : getHttp;
    const headers = token === '' ? {} : { 'X-Vault-Token': token };
    const request = get(url, { agent: false, timeout: 10_000, ca, servername, headers }, (response) => {
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
    if (failure === undefined) {
      tally.ok += 1;
      tally.gapMs = Math.max(tally.gapMs, Date.now() - lastMs);
      lastMs = Date.now();
    } else {
      tally.failed += 1;
      if (tally.failures.length < 20) tally.failures.push(`${new Date().toISOString()} ${url}: ${failure}`);
    }
    await delay(pauseMs);
  }
}

for (let width = Number(process.env.WIDTH); width > 0; width -= 1) caller();
setInterval(() => process.stdout.write(`${JSON.stringify(tally)}\n`), 1000);
process.once('SIGTERM', () => process.exit());
