import { execFile } from 'node:child_process';
import { passedOn } from '../ground/variables.ts';
import type { Failure } from './tool-context.ts';

const answerWithinMs = 3000;
const probes = new Map<string, Promise<string | undefined>>();

/**
 * Why a host accepts no connection on port 443 (or `host:port`) within 3 s; undefined if it does. Tried once per
 * process. Behind a proxy or mise's mirrors only the download can tell. `kind` describes the host.
 */
export async function whyUnreachable(host: string, kind = 'release host'): Promise<Failure | undefined> {
  const { HTTPS_PROXY, https_proxy, MISE_URL_REPLACEMENTS } = process.env;
  if (HTTPS_PROXY || https_proxy || MISE_URL_REPLACEMENTS) return undefined;
  const probe = probes.get(host) ?? tryToConnect(host);
  probes.set(host, probe);
  const why = await probe;
  return why === undefined
    ? undefined
    : { reason: `${kind} ${host} unreachable: ${why}`, advice: `make ${host} reachable` };
}

/** True if the host accepts connections. */
export const isReachable = async (host: string): Promise<boolean> =>
  (await whyUnreachable(host)) === undefined;

// In a separate process: a DNS lookup cannot be cancelled and would keep this one running. It enforces its own
// time limit, so that it ends even if the run was killed. A connection made while the process was suspended counts.
const attempt = `const [host, port] = process.argv.slice(1);
setTimeout(() => setImmediate(() => process.kill(process.pid, 'SIGKILL')), ${answerWithinMs});
require('net').connect({ host, port }).on('connect', () => process.exit()).on('error', ({ code }) => {
  process.stdout.write(String(code), () => process.exit(1));
});`;

const reasons: { readonly [code: string]: string } = {
  ENOTFOUND: 'its name was not found (DNS)',
  EAI_AGAIN: 'its name was not found (DNS)',
  ECONNREFUSED: 'it refuses connections',
  '': `no answer within ${answerWithinMs / 1000} s`,
};

function tryToConnect(host: string): Promise<string | undefined> {
  const [name = host, port = '443'] = host.split(':');
  const words = ['-e', attempt, name, port];
  return new Promise((resolve) => {
    execFile(process.execPath, words, { env: passedOn(process.env) }, (error, code) =>
      resolve(error === null ? undefined : (reasons[code] ?? `it fails with ${code}`)),
    );
  });
}
