import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'uvu';

let base: string | undefined;

/** An empty folder, which is removed with this process. */
export function temporaryFolder(): string {
  if (base === undefined) {
    const made = realpathSync(mkdtempSync(join(tmpdir(), 'tests-')));
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    base = made;
  }
  return mkdtempSync(join(base, 'f-'));
}

/** Of the test that runs, see `useFolder`. */
export let folder: string;

export function useFolder(test: Test): void {
  test.before.each(() => {
    folder = temporaryFolder();
  });
}
