import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../errors.ts';
import { formatSince } from '../format.ts';
import { neededBy, type TaskNode } from '../node.ts';
import { parseJson } from '../parse-json.ts';
import { isSameProcess, ownIdentity, type ProcessIdentity } from '../process-identity.ts';
import type { RunOutcome } from '../task.ts';
import { makeMemoryFolder, passing, settingsDigest } from './record.ts';

const version = 2;
const folderName = 'journal';
const ending = '.jsonl';

type JournalHeader = ProcessIdentity & {
  readonly version: number;
  /** Label of the requested tasks. */
  readonly task: string;
  /** Start of the run, ISO 8601. */
  readonly since: string;
  readonly lock?: string;
};

type JournaledRequest = {
  /** A file name unique to these tasks, arguments and options. */
  readonly name: string;
  /** Label of the requested tasks. */
  readonly task: string;
  readonly lock: string | undefined;
};

type JournaledRun = {
  readonly header: JournalHeader;
  /** Digests of finished nodes by id, see `settingsDigest`. */
  readonly done: ReadonlyMap<string, string>;
  /** Undefined if the run was killed or still runs. */
  readonly outcome: RunOutcome | undefined;
  /** A later run of other tasks with the same lock, which may have undone everything. */
  readonly later: JournalHeader | undefined;
};

/**
 * Begins to record what the last run of a request has done, one line of JSON per finished node. Lines are written in
 * the same turn of the event loop, so they survive a killed run. An unwritable journal is never a failure: undefined
 * if it cannot begin.
 */
export async function beginJournal(memory: string, { name, task, lock }: JournaledRequest) {
  let file: number;
  try {
    const [folder, identity] = await Promise.all([makeMemoryFolder(memory, folderName), ownIdentity()]);
    const header = { version, task, since: new Date().toISOString(), ...identity, lock };
    const draft = join(folder, `${name}-${process.pid}.tmp`);
    file = openSync(draft, 'w', 0o600);
    writeSync(file, `${JSON.stringify(header)}\n`);
    renameSync(draft, join(folder, `${name}${ending}`));
  } catch {
    return undefined;
  }
  /** Lines of one turn of the event loop, in which thousands of small tasks may end. */
  let pending = '';
  const flush = (): void => {
    const text = pending;
    pending = '';
    try {
      if (text !== '') writeSync(file, text);
    } catch {
      // What is not recorded is done again.
    }
  };
  return {
    /** Records a finished node, unless its digest is undefined. */
    note: (id: string, digest: string | undefined): void => {
      if (digest === undefined) return;
      if (pending === '') setImmediate(flush);
      pending += `{"id":${JSON.stringify(id)},"digest":"${digest}"}\n`;
    },
    end: (outcome: RunOutcome): void => {
      pending += `${JSON.stringify({ outcome })}\n`;
      flush();
      closeSync(file);
    },
  };
}

/** The last run of a request; undefined when there is none. */
export async function readLastRun(
  memory: string,
  { name, lock }: JournaledRequest,
): Promise<JournaledRun | undefined> {
  const folder = join(memory, folderName);
  const names = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith(ending));
  const texts = names.map((file) => readFile(join(folder, file), 'utf8').catch(() => ''));
  const runs = (await Promise.all(texts)).map(parseJournal);
  const run = runs[names.indexOf(`${name}${ending}`)];
  if (run === undefined) return undefined;
  const { since } = run.header;
  const headers = runs.flatMap((other) => other?.header ?? []);
  const later = headers.find((other) => lock !== undefined && other.lock === lock && other.since > since);
  return { ...run, later };
}

/** Undefined without a header; skips damaged lines. */
export function parseJournal(text: string): Omit<JournaledRun, 'later'> | undefined {
  const [header, ...lines] = text.split('\n').map((line): Partial<Line> => Object(parseJson(line)));
  if (header?.version !== version || typeof header.task !== 'string') return undefined;
  const done = new Map<string, string>();
  let outcome: RunOutcome | undefined;
  for (const line of lines) {
    if (typeof line.id === 'string' && typeof line.digest === 'string') done.set(line.id, line.digest);
    outcome = outcomes.find((one) => one === line.outcome) ?? outcome;
  }
  return { header: header as unknown as JournalHeader, done, outcome };
}

type Line = { readonly [name: string]: unknown };

const outcomes: readonly RunOutcome[] = ['done', 'failed', 'interrupted'];

/** The results of the last run that are still valid. Throws UsageError if there is nothing to resume. */
export async function resume(memory: string, request: JournaledRequest) {
  const { done } = await checkResumable(await readLastRun(memory, request), request.task);
  const settled = new Set<TaskNode>();
  const passes = (node: TaskNode): boolean => isPassing(node) || done.get(node.id) === passing;
  return {
    /** Marks a node as not to be run. Returns what the last run recorded for it. */
    settle: (node: TaskNode): string | undefined => {
      settled.add(node);
      return done.get(node.id);
    },
    /** Why a node runs in a resumed run; undefined if it was done and still is. */
    reasonToRun: async (node: TaskNode): Promise<string | undefined> => {
      if (isPassing(node)) return 'it does not outlast a run';
      if (node.finalises.size > 0) return 'it ends what others began';
      const digest = done.get(node.id);
      if (digest === passing) return 'what it made went with the last run';
      if (digest === undefined) return 'the last run did not get it done';
      if (digest !== (await settingsDigest(node))) return 'it was declared differently in the last run';
      const again = neededBy(node).find((needed) => !settled.has(needed) && !passes(needed));
      return again && `${again.label}, which it needs, runs again`;
    },
  };
}

async function checkResumable(run: JournaledRun | undefined, task: string): Promise<JournaledRun> {
  const refuse = (what: string, advice: string, why?: string): UsageError =>
    new UsageError({ what: `nothing to resume${what}`, why, advice });
  const without = 'run it without `--resume`';
  if (run === undefined)
    throw refuse(`: no earlier run of \`${task}\` with these arguments and options is known`, without);
  const { header, outcome, later } = run;
  const last = `the last run of \`${task}\`, from ${formatSince(new Date(header.since))},`;
  if (outcome === 'done') throw refuse(`: ${last} succeeded`, `${without} to do everything again`);
  if (outcome === undefined && (await isSameProcess(header))) {
    const why = `it is pid ${header.pid}`;
    throw refuse(` yet: ${last} is still at work`, 'try again when it has ended', why);
  }
  if (later !== undefined) {
    const what = `: \`${later.task}\` was run since, at ${formatSince(new Date(later.since))}`;
    throw refuse(what, without, 'it held the same lock, and may have undone what the last run had done');
  }
  return run;
}

/**
 * True if the task's result ended with the run: a long-running process, or something that a finaliser removes. It
 * runs again, but finished tasks that used it need not.
 */
function isPassing({ task }: TaskNode): boolean {
  return task.ready !== undefined || task.finally !== undefined;
}
