import { randomUUID } from 'node:crypto';
import { formatPlace } from '../call-site.ts';
import { UsageError } from '../errors.ts';
import { count, listChanges } from '../format.ts';
import { neededBy, type TaskNode } from '../node.ts';
import { declared } from '../task.ts';
import { changesBetween, compileGlobs, type Digests, readFiles } from './files.ts';
import { digestOf, readRecord, removeRecord, settingsOf, writeRecord } from './record.ts';

export type FingerprintSettings = {
  readonly memory: string;
  /** Recorded too: options that tasks may depend on. */
  readonly options: unknown;
  /** Absolute folder to which `inputs` are relative. */
  readonly base: string;
  /** True if requested tasks run in any case. */
  readonly force: boolean;
  /** Why the status command does not say that nothing has to be done; undefined if it does. */
  readonly askStatus: (node: TaskNode, command: string) => Promise<string | undefined>;
};

/** A task's state before it runs. */
export type Look = {
  readonly run: boolean;
  /** Completes a sentence: `src/a.ts changed`, `12 inputs say so`. */
  readonly reason: string;
};

export type Fingerprints = ReturnType<typeof openFingerprints>;

/** Decides whether tasks are up to date, and records what they were made from. */
export function openFingerprints({ memory, options, base, force, askStatus }: FingerprintSettings) {
  /** Of this run's tasks, the digests by name that decide whether they are up to date; undefined if unreadable. */
  const found = new Map<TaskNode, { readonly digest: string; readonly parts: Digests | undefined }>();
  /** Of this run, in the records of its unfinished tasks. */
  const mark = randomUUID();
  const keyOf = (node: TaskNode): string => `${node.id} ${JSON.stringify(options)}`;
  return { look, started, succeeded };

  /** Examines everything that the task declares. Throws UsageError for an input without a match. */
  async function look(node: TaskNode): Promise<Look> {
    const { task, input } = node;
    const says: string[] = [];
    if (task.inputs !== undefined) {
      const { files, parts, problem } = await partsOf(node);
      const before = parseRecord(await readRecord(memory, keyOf(node)));
      const changes = before ? changesBetween(before, parts) : ['no earlier success is remembered'];
      const reason = problem ?? listChanges(changes);
      if (reason !== '' && !force) return { run: true, reason };
      says.push(count(files, 'input'));
    }
    if (force) return { run: true, reason: '--force asks for it' };
    const status = await declared(task.status, input);
    if (status !== undefined) {
      const reason = await askStatus(node, status);
      if (reason !== undefined) return { run: true, reason };
      says.push('its status command');
    }
    const verb = says.length > 1 || says[0]?.endsWith('inputs') ? 'say' : 'says';
    return { run: false, reason: `${says.join(' and ')} ${verb} so` };
  }

  /** Removes the task's record before it starts, so that an interrupted run leaves none. */
  async function started(node: TaskNode): Promise<void> {
    if (node.task.inputs === undefined) return;
    const key = keyOf(node);
    await writeRecord(memory, key, { running: mark }).catch(async () => {
      // On a full disk, removing may still work. Otherwise the old record would be wrong.
      if ((await readRecord(memory, key)) !== undefined) await removeRecord(memory, key);
    });
  }

  /** Records a success, unless another run has started the same task meanwhile. */
  async function succeeded(node: TaskNode): Promise<void> {
    if (node.task.inputs === undefined) return;
    const key = keyOf(node);
    const parts = found.get(node)?.parts;
    const { running } = Object(await readRecord(memory, key)) as { running?: unknown };
    const isOurs = running === mark && parts !== undefined;
    const change = isOurs ? writeRecord(memory, key, { parts }) : removeRecord(memory, key);
    // Without a record, the task just runs again.
    await change.catch(() => {});
  }

  async function partsOf(node: TaskNode) {
    const { task, input } = node;
    const texts = (await declared(task.inputs, input)) ?? [];
    const own = { ...(await settingsOf(node)), 'its list of inputs': texts };
    const { digests, unmatched, problem } = await readFiles(compileGlobs(texts, base), base, memory);
    if (problem === undefined && unmatched[0] !== undefined) {
      throw new UsageError({
        what: `input \`${unmatched[0]}\` of task \`${node.label}\` matches no file`,
        why: `it was looked for in ${base}`,
        advice: `correct \`inputs\` at ${formatPlace(task.place)}, or make what it names`,
      });
    }
    const needs = trackedNeeds(node).map((needed) => [
      `${needed.label}, which it needs,`,
      found.get(needed)?.digest ?? '',
    ]);
    const parts: Digests = {
      ...Object.fromEntries(Object.entries(own).map(([name, value]) => [name, digestOf(value)])),
      ...Object.fromEntries(needs),
      ...digests,
    };
    found.set(node, { digest: digestOf(parts), parts: problem === undefined ? parts : undefined });
    return { files: Object.keys(digests).length, parts, problem };
  }

  /** The nearest needs with inputs; the results of others are unknown. */
  function trackedNeeds(node: TaskNode): TaskNode[] {
    const needs = new Set(neededBy(node));
    // Grows while it is iterated.
    for (const needed of needs)
      if (!found.has(needed)) for (const deeper of neededBy(needed)) needs.add(deeper);
    return [...needs].filter((needed) => found.has(needed));
  }
}

/** Validates a record, since its file may be damaged. */
function parseRecord(value: unknown): Digests | undefined {
  const { parts } = Object(value) as { parts?: unknown };
  const isWhole = parts instanceof Object && Object.values(parts).every((part) => typeof part === 'string');
  return isWhole ? (parts as Digests) : undefined;
}
