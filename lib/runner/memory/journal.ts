import { closeSync, ftruncateSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ownIdentity, type ProcessIdentity } from '../process-identity.ts';
import type { RunOutcome } from '../task.ts';
import { makeMemoryFolder } from './store.ts';

const version = 1;
const folderName = 'journal';
/** Runs that are kept: of the same request, and in all. */
const keptAlike = 3;
const keptRuns = 50;

export type JournalHeader = ProcessIdentity & {
  readonly version: number;
  /** The label of the requested tasks. */
  readonly task: string;
  /** When the run began, ISO 8601. */
  readonly since: string;
  /** The lock that the run held. */
  readonly lock?: string;
};

/** What a run was asked to do. */
export type JournaledRequest = {
  /** A name that only the same tasks with the same arguments and options have, fit for a file. */
  readonly name: string;
  /** The label of the requested tasks. */
  readonly task: string;
  /** The lock that the run holds. */
  readonly lock: string | undefined;
};

/** In place of a digest: the node is done, and what it made went with the run (it registered a cleanup). */
export const passing = 'passing';
/** In place of a digest: an earlier run had done the node, and this one has begun it again. */
export const begunAgain = 'begun again';

/** A node that is done, and what it was like: see `settingsDigest`. The last entry of a node counts. */
export type JournalEntry = { readonly id: string; readonly digest: string };

/** A run as its journal tells it. */
export type JournaledRun = {
  readonly header: JournalHeader;
  readonly done: ReadonlyMap<string, string>;
  /** Undefined for a run that was killed or is still at work. */
  readonly outcome: RunOutcome | undefined;
  /** A run of something else that has held the same lock since, and may have undone it all. */
  readonly later: JournalHeader | undefined;
};

/**
 * Writes down what a run has done, one line of JSON for each node that is done. Lines are handed to the system before the process
 * turns to anything else: they stay when the run is killed. A journal that cannot be written is given up: it is never worth a failure.
 */
export class Journal {
  readonly #header: string;
  /** Older runs are removed meanwhile. */
  readonly #pruned: Promise<void>;
  #file: number | undefined;
  /** Lines of nodes that are done, from one turn of the event loop: thousands of small tasks end in one. */
  #pending = '';

  private constructor(header: string, file: number, pruned: Promise<void>) {
    this.#header = header;
    this.#file = file;
    this.#pruned = pruned;
  }

  /**
   * Begins the journal of a run with what it carries over from an earlier one. Undefined when it cannot be written.
   */
  static async begin(
    memory: string,
    request: JournaledRequest,
    carried: readonly JournalEntry[] = [],
  ): Promise<Journal | undefined> {
    try {
      const [folder, identity] = await Promise.all([makeMemoryFolder(memory, folderName), ownIdentity()]);
      const { task, lock } = request;
      const since = new Date().toISOString();
      const header: JournalHeader = {
        version,
        task,
        since,
        ...identity,
        ...(lock !== undefined && { lock }),
      };
      const lines = [header, ...carried].map((line) => `${JSON.stringify(line)}\n`);
      // Microseconds: two runs that follow each other at once are still in order.
      const begun = Math.round((performance.timeOrigin + performance.now()) * 1000);
      const name = `${request.name}-${begun}-${process.pid}`;
      const draft = join(folder, `${name}.tmp`);
      const path = join(folder, `${name}.jsonl`);
      // No task has begun, and each promise would be one more wait for a thread.
      writeFileSync(draft, lines.join(''), { mode: 0o600 });
      renameSync(draft, path);
      return new Journal(lines[0] ?? '', openSync(path, 'a'), prune(folder));
    } catch {
      return undefined;
    }
  }

  /** Notes a node as done, or begun again; one that cannot be told from another (`undefined`) is not noted. */
  note(id: string, digest: string | undefined): void {
    if (digest === undefined) return;
    if (this.#pending === '') setImmediate(() => this.#flush());
    this.#pending += `{"id":${JSON.stringify(id)},"digest":"${digest}"}\n`;
    // To be forgotten is harmless for what is done, which is done once more. What is begun again must not count as done.
    if (digest === begunAgain) this.#flush();
  }

  /** A run that came to a good end has nothing to resume: only that remains. */
  async end(outcome: RunOutcome): Promise<void> {
    this.#close(outcome);
    await this.#pruned;
  }

  #close(outcome: RunOutcome): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#flush();
    try {
      if (outcome === 'done') {
        ftruncateSync(file);
        this.#write(this.#header);
      }
      this.#write(`${JSON.stringify({ outcome })}\n`);
    } catch {
      // As with any other line.
    }
    if (this.#file === undefined) return;
    this.#file = undefined;
    closeSync(file);
  }

  #flush(): void {
    const text = this.#pending;
    this.#pending = '';
    if (text !== '') this.#write(text);
  }

  #write(text: string): void {
    if (this.#file === undefined) return;
    try {
      writeSync(this.#file, text);
    } catch {
      closeSync(this.#file);
      this.#file = undefined;
    }
  }
}

/** The last run of a request; undefined when there is none. */
export async function readLastRun(
  memory: string,
  request: JournaledRequest,
): Promise<JournaledRun | undefined> {
  const folder = join(memory, folderName);
  let later: JournalHeader | undefined;
  for (const name of (await namesIn(folder)).reverse()) {
    const run = parseJournal(await readFile(join(folder, name), 'utf8').catch(() => ''));
    if (run === undefined) continue;
    if (name.startsWith(`${request.name}-`)) return { ...run, later };
    if (request.lock !== undefined && run.header.lock === request.lock) later ??= run.header;
  }
  return undefined;
}

/** Undefined for a file without a header; a line that is cut off or damaged is left out. */
export function parseJournal(text: string): Omit<JournaledRun, 'later'> | undefined {
  const [header, ...lines] = text.split('\n').map(parseLine);
  if (header === undefined || header.version !== version || typeof header.task !== 'string') return undefined;
  const done = new Map<string, string>();
  let outcome: RunOutcome | undefined;
  for (const line of lines) {
    if (typeof line?.id === 'string' && typeof line.digest === 'string') done.set(line.id, line.digest);
    if (line?.outcome === 'done' || line?.outcome === 'failed' || line?.outcome === 'interrupted')
      outcome = line.outcome;
  }
  return { header: header as unknown as JournalHeader, done, outcome };
}

/** Removes the oldest runs; never rejects. One that is still at work and is removed all the same only loses its journal. */
async function prune(folder: string): Promise<void> {
  const names = await namesIn(folder);
  const requests = new Map<string, number>();
  for (const [place, name] of names.reverse().entries()) {
    const request = name.split('-')[0] ?? '';
    const newer = requests.get(request) ?? 0;
    requests.set(request, newer + 1);
    if (newer >= keptAlike || place >= keptRuns)
      await rm(join(folder, name), { force: true }).catch(() => {});
  }
}

/** The journals, oldest first. */
async function namesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.jsonl'));
  return names.sort((left, right) => (timeOf(left) < timeOf(right) ? -1 : 1));
}

function timeOf(name: string): string {
  return name.split('-')[1] ?? '';
}

function parseLine(line: string): { readonly [name: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as { [name: string]: unknown }) : undefined;
  } catch {
    return undefined;
  }
}
