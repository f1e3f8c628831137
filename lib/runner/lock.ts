import { lstat, mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { TaskError } from './errors.ts';
import { formatSince } from './format.ts';
import { parseJson } from './parse-json.ts';
import { pause } from './pause.ts';
import {
  isAncestor,
  isElsewhere,
  isSameProcess,
  ownIdentity,
  type ProcessIdentity,
} from './process-identity.ts';

/** A lock's holder: its process, its task and since when. */
export type LockHolder = ProcessIdentity & {
  readonly task: string;
  /** Time of locking, ISO 8601. */
  readonly since: string;
  /** For messages, if its process cannot be seen here: where it runs. Never in the file. */
  readonly elsewhere?: string;
};

/** How to take a lock. */
type LockRequest = {
  readonly task: string;
  /** If false, a taken lock is an error. */
  readonly wait: boolean;
  /** Called once for each holder to wait for. */
  readonly onWait?: (holder: LockHolder) => void;
  /** Called for a dead holder before anybody takes over its lock. */
  readonly onStale?: (holder: LockHolder) => Promise<void>;
  readonly signal?: AbortSignal;
};

/** A held lock. */
export type Lock = { readonly holder: LockHolder; readonly release: () => Promise<void> };

const pollMs = 100;
/** How often a holder touches its lock, and when one of an empty lock, or elsewhere, counts as killed, or suspended. */
export const heartbeat = { everyMs: 1000, unwrittenMs: 3000, silentMs: 60_000 };

/**
 * Takes the lock at this path, waiting for a living holder. Takes over a dead holder's lock (process gone, pid
 * reused, machine rebooted; on another host or in another container: it no longer touches its lock). Throws TaskError
 * if the lock is taken and `wait` is false, or on the signal.
 */
export async function acquireLock(path: string, request: LockRequest): Promise<Lock> {
  const holder: LockHolder = {
    ...(await ownIdentity()),
    task: request.task,
    since: new Date().toISOString(),
  };
  const content = `${JSON.stringify(holder)}\n`;
  let announced: string | undefined;
  let touched = { at: 0, seen: 0 };

  for (;;) {
    if (request.signal?.aborted)
      throw new TaskError({ what: 'the run was stopped while it waited for another one' });
    if (await create(path, content)) return { holder, release: keep(path, content) };
    const found = await read(path);
    if (found === undefined) continue;
    const at = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
    // Our own clock tells how long: the holder's may differ, and after a sleep of the machine every lock is old.
    if (touched.at !== at) touched = { at, seen: performance.now() };
    const silentMs = performance.now() - touched.seen;
    const other = parseHolder(found);
    const isVisible = other !== undefined && !(await isElsewhere(other));
    const longestMs = other === undefined ? heartbeat.unwrittenMs : heartbeat.silentMs;
    if (isVisible ? !(await isSameProcess(other)) : silentMs > longestMs) {
      await takeAway(path, found, request);
      continue;
    }
    const holding = other && (isVisible ? other : { ...other, elsewhere: placeOf(other) });
    if (!request.wait && (isVisible || Date.now() - at <= longestMs)) {
      const named = holding === undefined ? '' : `: ${describeHolder(holding)}`;
      throw new TaskError({ what: `another run is at work${named}`, advice: 'try again when it has ended' });
    }
    if (holding !== undefined && announced !== found) request.onWait?.(holding);
    announced = found;
    await pause(pollMs, request.signal);
  }
}

/**
 * True if an outer run holds this lock, so that waiting would never end. A process that left that run (`setsid … &`,
 * a tmux session) is not waited for and has to wait itself.
 */
export async function isHeldAround(path: string): Promise<boolean> {
  const holder = parseHolder(await readFile(path, 'utf8').catch(() => ''));
  return holder !== undefined && (await isAncestor(holder));
}

/** `run of create-environment by pid 123 since 12:01`; with the day if not today. */
export function describeHolder({ task, pid, since, elsewhere = '' }: LockHolder): string {
  return `run of ${task} by pid ${pid} since ${formatSince(new Date(since))}${elsewhere}`;
}

const placeOf = ({ host }: LockHolder): string =>
  host === hostname() ? ' in another container of this host' : ` on host or in container ${host}`;

/**
 * Removes a stale lock. Meanwhile another run may have removed it and taken the lock, and we would remove its file.
 * So only the holder of a second lock may remove the first, after checking again; a stale second lock is handled by a
 * third.
 */
async function takeAway(path: string, stale: string, request: LockRequest): Promise<void> {
  const guard = await acquireLock(`${path}.takeover`, { ...request, wait: true });
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
    // Each time, because the other run may remove the folder.
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    const { code = '', syscall } = error as NodeJS.ErrnoException;
    // Taken, or the folder was removed between the two calls, and the next attempt recreates it.
    if (syscall === 'open' && (code === 'EEXIST' || code === 'ENOENT')) return false;
    // On a full disk the new file is empty, and locks while it is touched: a destroy has to free the disk.
    if (syscall === 'write' && ['ENOSPC', 'EDQUOT'].includes(code)) return true;
    throw new TaskError({
      what: `cannot write the lock ${path}`,
      why: (error as Error).message,
      advice: `make ${dirname(path)} a folder that you can write to, with some space left`,
    });
  }
}

/** The lock's content; undefined if it was removed meanwhile. Throws TaskError if it is unreadable. */
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

/** Touches the lock until it is released by the function returned. */
function keep(path: string, content: string): () => Promise<void> {
  const touch = (): void => void utimes(path, new Date(), new Date()).catch(() => undefined);
  const beats = setInterval(touch, heartbeat.everyMs).unref();
  return async () => {
    clearInterval(beats);
    // Somebody may have removed it by hand, and another run taken it.
    if (content.startsWith(await readFile(path, 'utf8').catch(() => ' '))) await rm(path, { force: true });
  };
}

function parseHolder(text: string): LockHolder | undefined {
  const holder = Object(parseJson(text)) as LockHolder;
  return typeof holder.pid === 'number' && typeof holder.startTime === 'string' ? holder : undefined;
}
