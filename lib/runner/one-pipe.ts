import { execFile } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Both ends of a pipe, as file descriptors of this process; a child gets only what it is given. */
export type OnePipe = {
  readonly read: number;
  readonly write: number;
  used: boolean;
};

/** Pipes created at once, since that takes a process. */
const batch = 32;
const ready: OnePipe[] = [];
let making: Promise<boolean> | undefined;

/**
 * A pipe for both streams of a child, which keeps the order of its output; Node would create one pipe each. `2>&1` is
 * not enough: Node's sockets are full after some 280 short writes, and programs that do not wait (Node's among them)
 * then lose the order. Undefined if none can be created.
 */
export async function takePipe(): Promise<OnePipe | undefined> {
  while (ready.length === 0) {
    making ??= makePipes();
    if (!(await making)) return undefined;
    if (ready.length === 0) making = undefined;
  }
  return ready.pop();
}

/** Call after the command; one that did not start has not used it. */
export function returnPipe(pipe: OnePipe | undefined): void {
  if (pipe?.used === false) ready.push(pipe);
}

/** Creates pipes; false forever if there is no mkfifo or no file can be created. */
async function makePipes(): Promise<boolean> {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(tmpdir(), 'task-runner-'));
    const files = Array.from({ length: batch }, (_, index) => join(folder ?? '', String(index)));
    await promisify(execFile)('mkfifo', files);
    for (const file of files) {
      // Opened without waiting for a writer, which then finds its reader. The name is no longer needed.
      const read = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
      ready.push({ read, write: openSync(file, constants.O_WRONLY), used: false });
    }
    return true;
  } catch {
    return ready.length > 0;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}
