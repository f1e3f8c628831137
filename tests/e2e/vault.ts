import { createInterface } from 'node:readline';
import { environment } from './options.ts';
import type { Stack } from './stack.ts';

// biome-ignore lint/suspicious/noExplicitAny: answers of every path; a wrong field fails the assertion on it
type Answer = any;
type Call = (method: string, path: string, body?: object) => Promise<Answer>;

/** Calls `use` with Vault of the stack, logged in as its tasks are. A call throws what Vault said when it refuses. */
export async function withVault<Result>(stack: Stack, use: (call: Call) => Promise<Result>): Promise<Result> {
  const helper = `.state/${environment}/vault/token-helper`;
  const { stdout } = await stack.sandbox.shell(`./${helper} get`);
  const forward = stack.start('-n', 'vault', 'port-forward', 'svc/vault', ':8200', '--address', '127.0.0.1');
  try {
    const port = await new Promise<string>((resolve, reject) => {
      forward.once('exit', () => reject(new Error('the forward to Vault ended')));
      if (!forward.stdout) return;
      createInterface({ input: forward.stdout }).on('line', (line) => {
        const found = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
        if (found) resolve(found);
      });
    });
    return await use(async (method, path, body) => {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/${path}`, {
        method,
        headers: { 'x-vault-token': stdout.trim() },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`Vault: ${method} ${path}: ${answer.status} ${text}`);
      return text === '' ? undefined : JSON.parse(text);
    });
  } finally {
    forward.kill();
  }
}
