import { execFile } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Both ends of a pipe. They are file descriptors of this process; a child only gets what it is given. */
export type OnePipe = {
  readonly read: number;
  readonly write: number;
  /** A child has it. */
  used: boolean;
};

/** Pipes that are made at once: it takes a process. */
const batch = 32;
const ready: OnePipe[] = [];
let making: Promise<boolean> | undefined;

/**
 * A pipe for both streams of a child, so that the order of what it writes is kept: Node would give each of them a pipe of its
 * own. `2>&1` is not enough: what Node makes are sockets, full after some 280 short writes, and programs that do not wait for room
 * (Node's among them) then lose the order. Undefined where none can be made.
 */
export async function takePipe(): Promise<OnePipe | undefined> {
  while (ready.length === 0) {
    making ??= makePipes();
    if (!(await making)) return undefined;
    if (ready.length === 0) making = undefined;
  }
  return ready.pop();
}

/** To be called after the command: one that did not get to start has not used it. */
export function returnPipe(pipe: OnePipe | undefined): void {
  if (pipe?.used === false) ready.push(pipe);
}

/** False without mkfifo, or where no file can be made: for good. */
async function makePipes(): Promise<boolean> {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(tmpdir(), 'task-runner-'));
    const files = Array.from({ length: batch }, (_, index) => join(folder ?? '', String(index)));
    await promisify(execFile)('mkfifo', files);
    for (const file of files) {
      // Without waiting for a writer; the writer then finds its reader. The name is not needed any more.
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
