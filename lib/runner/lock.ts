import { lstat, mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TaskError } from './errors.ts';
import { formatSince } from './format.ts';
import { pause } from './pause.ts';
import { isAncestor, isSameProcess, ownIdentity, type ProcessIdentity } from './process-identity.ts';

/** Who holds a lock: the process, what it runs and since when. */
export type LockHolder = ProcessIdentity & {
  /** What the run was asked to do. */
  readonly task: string;
  /** When it took the lock, ISO 8601. */
  readonly since: string;
};

/** How to take a lock. */
export type LockRequest = {
  readonly task: string;
  /** Without it, a lock that is taken is an error at once. */
  readonly wait: boolean;
  /** Called once for each holder that is waited for. */
  readonly onWait?: (holder: LockHolder) => void;
  /** Called for a holder that is gone, before anybody can take its lock. */
  readonly onStale?: (holder: LockHolder) => Promise<void>;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
  /** The folder is only there for the run: it goes with the lock when nothing else is in it. */
  readonly ownsFolder?: boolean;
};

/** A lock that is held. */
export type Lock = { readonly holder: LockHolder; readonly release: () => Promise<void> };

const pollMs = 100;
/** A lock file without a holder is being written. After this time, in milliseconds, its writer must have been killed. */
const unwrittenMs = 2000;

/**
 * Takes the lock at this path, waiting for its holder if it lives. A lock of a process that is gone (dead, pid reused,
 * machine rebooted) is taken over. Throws TaskError when it is taken and `wait` is false, or when the signal comes.
 */
export async function acquireLock(path: string, request: LockRequest): Promise<Lock> {
  const holder: LockHolder = {
    ...(await ownIdentity()),
    task: request.task,
    since: new Date().toISOString(),
  };
  const content = `${JSON.stringify(holder)}\n`;
  let unwrittenSince: number | undefined;
  let announced: string | undefined;

  for (;;) {
    if (request.signal?.aborted)
      throw new TaskError({ what: 'the run was stopped while it waited for another one' });
    if (await create(path, content))
      return { holder, release: () => release(path, content, request.ownsFolder ?? false) };
    const found = await read(path);
    if (found === undefined) continue;
    const other = parseHolder(found);
    if (other === undefined) {
      unwrittenSince ??= Date.now();
      if (Date.now() - unwrittenSince > unwrittenMs) await takeAway(path, found, request);
      else await pause(pollMs, request.signal);
      continue;
    }
    unwrittenSince = undefined;
    if (!(await isSameProcess(other))) {
      await takeAway(path, found, request);
      continue;
    }
    if (!request.wait) {
      throw new TaskError({
        what: `another run is at work: ${describeHolder(other)}`,
        advice: 'try again when it has ended',
      });
    }
    if (announced !== found) request.onWait?.(other);
    announced = found;
    await pause(pollMs, request.signal);
  }
}

/**
 * Whether a run around us holds this lock: waiting for it would never end. A process that has left that run (`setsid … &`, a session of
 * tmux) is not waited for by it, and waits for the lock as any other.
 */
export async function isHeldAround(path: string): Promise<boolean> {
  const holder = parseHolder(await readFile(path, 'utf8').catch(() => ''));
  return holder !== undefined && (await isAncestor(holder));
}

/** `run of create-environment by pid 123 since 12:01`; with the day when that was not today. */
export function describeHolder(holder: LockHolder): string {
  return `run of ${holder.task} by pid ${holder.pid} since ${formatSince(new Date(holder.since))}`;
}

/**
 * Removes a stale lock. Between seeing that it is stale and removing it another run may have done both and taken the
 * lock, whose file we would then remove. So only the holder of a second lock may remove the first, after another look;
 * a stale second lock is handled in the same way by a third.
 */
async function takeAway(path: string, stale: string, request: LockRequest): Promise<void> {
  const { signal } = request;
  const guard = await acquireLock(`${path}.takeover`, {
    task: request.task,
    wait: true,
    ...(signal && { signal }),
  });
  try {
    if ((await readFile(path, 'utf8').catch(() => undefined)) !== stale) return;
    const holder = parseHolder(stale);
    if (holder !== undefined) await request.onStale?.(holder);
    await rm(path, { force: true });
  } finally {
    await guard.release();
  }
}

async function create(path: string, content: string): Promise<boolean> {
  try {
    // Each time: the run that is waited for may be the one that removes the folder.
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    // Taken; or the folder went away between the two calls, and the next attempt makes it again.
    if (syscall === 'open' && (code === 'EEXIST' || code === 'ENOENT')) return false;
    // A disk that is full leaves the new file empty.
    if (syscall === 'write') await rm(path, { force: true });
    throw new TaskError({
      what: `cannot write the lock ${path}`,
      why: (error as Error).message,
      advice: `make ${dirname(path)} a folder that you can write to, with some space left`,
    });
  }
}

/** The lock's content, or undefined if the lock was removed meanwhile. Throws TaskError if it exists and cannot be read. */
async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const link = gone && (await lstat(path).catch(() => undefined))?.isSymbolicLink();
    if (gone && !link) return undefined;
    throw new TaskError({
      what: `cannot read the lock ${path}`,
      why: link ? 'it is a link that leads nowhere' : (error as Error).message,
      advice: 'remove it if no other run is at work',
    });
  }
}

async function release(path: string, content: string, ownsFolder: boolean): Promise<void> {
  // Not ours any more when someone removed it by hand and another run took it.
  if ((await readFile(path, 'utf8').catch(() => undefined)) !== content) return;
  await rm(path, { force: true });
  // It stays when there is more in it.
  if (ownsFolder) await rmdir(dirname(path)).catch(() => undefined);
}

function parseHolder(text: string): LockHolder | undefined {
  try {
    const holder = JSON.parse(text) as LockHolder;
    return typeof holder.pid === 'number' && typeof holder.startTime === 'string' ? holder : undefined;
  } catch {
    return undefined;
  }
}
