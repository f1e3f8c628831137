import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'uvu';

const playing: ChildProcess[] = [];

export function useStandIns<State>(test: Test<State>): void {
  test.after.each(() => {
    for (const child of playing.splice(0)) child.kill('SIGKILL');
  });
}

/**
 * A process under another program's name, with a group of its own, that waits for a signal or the end of its input;
 * first it does what the shell code says.
 */
export async function standIn(argv0: string, words: readonly string[] = [], script = '') {
  const child = spawn('sh', ['-c', `${script}\necho; read line`, ...words], {
    ...{ argv0, detached: true, stdio: ['pipe', 'pipe', 'ignore'] },
  });
  playing.push(child);
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  return { pid: child.pid ?? 0, ended, child };
}
