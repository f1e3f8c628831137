// Reads the backend's environment for verify.mjs, and puts errors into one line.

import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** @typedef {{ [name: string]: string | undefined }} Environment */

/**
 * The backend's environment, from BACKEND_URL or ENVIRONMENT_FILE; rejects if neither provides it.
 *
 * @returns {Promise<Environment>}
 */
export function readEnvironment() {
  const { BACKEND_URL: url, ENVIRONMENT_FILE: file } = process.env;
  if (url) return fromBackend(url, Date.now() + seconds('BACKEND_TIMEOUT_SECONDS', 60) * 1000);
  if (file) return fromFile(file);
  throw new Error('Expected BACKEND_URL or ENVIRONMENT_FILE to be set');
}

/**
 * @param {string} file
 * @returns {Promise<Environment>}
 */
async function fromFile(file) {
  const text = file === '-' ? await readStdin() : await readFile(file, 'utf8');
  const content = parseJson(text);
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return { ...content };
  throw new Error('ENVIRONMENT_FILE is not a JSON object');
}

async function readStdin() {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
  return text;
}

/**
 * Retries failed connections and "bad gateway" until the deadline, since pods may still be starting. Any other answer is final.
 *
 * @param {string} base
 * @param {number} deadline milliseconds since 1970
 * @returns {Promise<Environment>}
 */
async function fromBackend(base, deadline) {
  const url = `${base.replace(/\/+$/, '')}/api?env=true`;
  for (;;) {
    const leftMs = Math.max(deadline - Date.now(), 1);
    const answer = await get(url, Math.min(leftMs, 5000));
    if (answer.status === 200) return parseEnviron(answer.text);
    const reason = answer.status === undefined ? answer.text : `HTTP ${answer.status}`;
    const starting = answer.status === undefined || [502, 503, 504].includes(answer.status);
    if (!starting || Date.now() + 250 >= deadline) throw new Error(`GET ${url}: ${reason}`);
    await delay(250);
  }
}

/**
 * @param {string} url
 * @param {number} timeoutMs
 * @returns {Promise<{ status: number | undefined, text: string }>} without a status, `text` is the reason
 */
async function get(url, timeoutMs) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    return { status: undefined, text: reasonOf(error) };
  }
}

/**
 * @param {string} text JSON with `environ`, a list of `NAME=value`
 * @returns {Environment}
 */
function parseEnviron(text) {
  const environ = parseJson(text)?.environ;
  if (!Array.isArray(environ)) throw new Error('the answer of the backend has no `environ` list');
  return Object.fromEntries(
    environ.map(String).map((pair) => {
      const end = pair.indexOf('=');
      return end === -1 ? [pair, ''] : [pair.slice(0, end), pair.slice(end + 1)];
    }),
  );
}

/**
 * The environment variable of that name, a number of seconds.
 *
 * @param {string} name
 * @param {number} otherwise
 */
export function seconds(name, otherwise) {
  const value = Number(process.env[name] || otherwise);
  if (value > 0) return value;
  throw new Error(`Expected ${name} to be a number of seconds above 0`);
}

/** @param {string} text */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message would quote the text, which contains secrets.
    throw new Error('the environment is not JSON');
  }
}

/**
 * The reason in one line; if several addresses failed, that of the first.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function reasonOf(error) {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (error instanceof TypeError && error.cause !== undefined) return reasonOf(error.cause);
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replace(/\s+/g, ' ').trim();
}
