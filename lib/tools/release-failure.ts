import { TaskError } from '@k8s-deployment/runner';
import { diskFull } from './cache.ts';
import type { ReleasedTool } from './mise.ts';
import { pinOf } from './pins.ts';
import { lastWords } from './tool-context.ts';

type Failure = { readonly reason: string; readonly advice?: string };

/** Why mise failed, by its stderr, with advice. Throws `TaskError` for a full disk or wrong checksum. */
export function releaseFailure(entry: ReleasedTool, version: string, stderr: string): Failure {
  const last = stderr.slice(Math.max(0, stderr.indexOf('mise ERROR')));
  if (/no space left on device|disk quota exceeded/i.test(last)) throw diskFull(lastWords(last));
  if (/(checksum|size) mismatch/i.test(last)) throw wrongFile(entry, version, last);
  const known = kinds.find(({ sign }) => sign.test(last));
  return (
    known?.tell(last) ?? { reason: `mise could not install ${entry.release.package}: ${lastWords(last)}` }
  );
}

const kinds: readonly { readonly sign: RegExp; readonly tell: (text: string) => Failure }[] = [
  {
    sign: /rate limit: 0\/|rate limit exceeded/i,
    tell: (text) => {
      const [, seconds] = /resets at (\d+)/i.exec(text) ?? [];
      const reset = seconds && `${new Date(Number(seconds) * 1000).toISOString().slice(11, 16)} UTC`;
      return {
        reason: `GitHub's rate limit is used up${reset ? ` until ${reset}` : ''}`,
        advice: `set GITHUB_TOKEN, or wait${reset ? ` until ${reset}` : ''}`,
      };
    },
  },
  {
    sign: /401 Unauthorized|bad credentials/i,
    tell: (text) => {
      const name = /token from (\w+)/.exec(text)?.[1] ?? 'GITHUB_TOKEN';
      return { reason: `GitHub refuses the token in ${name}`, advice: `renew or unset ${name}` };
    },
  },
  {
    sign: /invalid peer certificate|TLS certificate/i,
    tell: (text) => ({
      reason: `the host's certificate is not trusted (TLS: ${after(text, 'invalid peer certificate: ').split(';')[0]})`,
      advice: "set SSL_CERT_FILE to your proxy's certificate authority",
    }),
  },
  {
    sign: /dns error|failed to lookup address/i,
    tell: () => ({
      reason: "a host's name was not found (DNS)",
      advice: 'check the name server, or set HTTPS_PROXY behind a proxy',
    }),
  },
  {
    sign: /timed out/i,
    tell: () => ({
      reason: 'the host did not answer (timeout)',
      advice: 'try again; on a slow network with a longer MISE_HTTP_TIMEOUT',
    }),
  },
];

const after = (text: string, words: string): string => text.split(words)[1]?.split('\n')[0] ?? 'no details';

function wrongFile(entry: ReleasedTool, version: string, text: string): TaskError {
  const pinned = pinOf(entry.name, version)?.checksum !== undefined;
  const [expected, actual] = ['Expected', 'Actual'].map((word) => after(text, `${word}:`).trim());
  const whose = pinned ? 'lib/tools/mise.lock has' : 'its publisher has';
  return new TaskError({
    what: `the downloaded file for ${entry.name} ${version} is not the published one; it was not kept`,
    why: `${whose} the checksum ${expected}, the file has ${actual}`,
    advice: `check if a proxy or a login page answers instead of ${entry.release.host}, then run again`,
  });
}
