import { randomUUID } from 'node:crypto';
import { count, listChanges } from '../format.ts';
import type { TaskNode } from '../node.ts';
import { declared } from '../task.ts';
import { type Facets, facetsOf } from './describe-node.ts';
import { digestOf, type FileStates } from './file-state.ts';
import {
  changedFacet,
  changedFiles,
  type Effect,
  effectOfFingerprint,
  effectReason,
  type Fingerprint,
  makeFingerprint,
  parseFingerprint,
} from './fingerprint.ts';
import type { Store } from './store.ts';
import { globsOf, readInputs, readOutputs, rereadOutputs, type TaskGlobs } from './task-files.ts';

/** What a task's own status command says: nothing is to be done, or why not. */
export type StatusAnswer = { readonly good: true } | { readonly good: false; readonly reason: string };

export type TrackerSettings = {
  readonly store: Store;
  /** Part of what is remembered: the options that tasks may depend on. */
  readonly options: unknown;
  /** The folder that a task without `cwd` works in. */
  readonly base: string;
  /** Folders that are never searched. */
  readonly ignored: readonly string[];
  /** The runs that are asked for in spite of all checks. */
  readonly force: boolean;
  readonly askStatus: (node: TaskNode, command: string) => Promise<StatusAnswer>;
};

/** A task as it was found before it ran. */
export type Look = {
  readonly run: boolean;
  /** The rest of the sentence: `src/a.ts changed`, `12 inputs say so`. */
  readonly reason: string;
  readonly globs: TaskGlobs;
  readonly facets: Facets;
  readonly inputs: FileStates;
  /** Not to be remembered: something could not be read. */
  readonly blind: boolean;
  readonly before: Fingerprint | undefined;
};

/** Decides whether tasks are up to date, and remembers what made them so. */
export class Tracker {
  readonly #settings: TrackerSettings;
  /** The mark of each task of this run that is under way. */
  readonly #marks = new Map<TaskNode, string>();

  constructor(settings: TrackerSettings) {
    this.#settings = settings;
  }

  /** Looks at everything that the task declares. Throws UsageError for an input that matches nothing. */
  async look(node: TaskNode, effectOf: (node: TaskNode) => Effect): Promise<Look> {
    const { store, base, ignored, force } = this.#settings;
    const { task, input } = node;
    const before = parseFingerprint(await store.read(this.#key(node)));
    const globs = globsOf(node, base);
    const facets = await facetsOf(node);
    const seen = await readInputs(node, globs, before?.inputs ?? {}, ignored);
    const look = { globs, facets, inputs: seen.states, blind: seen.problem !== undefined, before };
    const because = (reason: string): Look => ({ ...look, run: true, reason });

    if (force) return because('--force asks for it');
    if (seen.problem !== undefined) return because(seen.problem);
    const says: string[] = [];
    if (task.inputs !== undefined) {
      const reason = await this.#changeReason(node, look, effectOf);
      if (reason !== undefined) return because(reason);
      says.push(count(Object.keys(seen.states).length, 'input'));
      const outputs = Object.keys(before?.outputs ?? {}).length;
      if (outputs > 0) says.push(count(outputs, 'output'));
    }
    const status = declared(task.status, input);
    if (status !== undefined) {
      const answer = await this.#settings.askStatus(node, status);
      if (!answer.good) return because(answer.reason);
      says.push('its status command');
    }
    return { ...look, run: false, reason: `${sentence(says)} so` };
  }

  /** Forgets the task before it starts, so that an end in the middle leaves nothing to believe in. */
  async started(node: TaskNode, { before }: Look): Promise<void> {
    const { store } = this.#settings;
    const mark = randomUUID();
    this.#marks.set(node, mark);
    try {
      await store.write(this.#key(node), { running: mark });
    } catch {
      // Where nothing can be written (a full disk) removing may still do. If not, what is remembered would turn into a lie.
      await store.remove(this.#key(node)).catch((error: unknown) => {
        if (before !== undefined) throw error;
      });
    }
  }

  /** Remembers a success, and returns what it means for the tasks that need this one. */
  async succeeded(
    node: TaskNode,
    look: Look,
    report: 'changed' | 'unchanged' | undefined,
    effectOf: (node: TaskNode) => Effect,
  ): Promise<Effect> {
    const { store, ignored } = this.#settings;
    const generation =
      report === 'unchanged' && look.before !== undefined ? look.before.generation : randomUUID();
    const outputs = await readOutputs(look.globs, ignored);
    const needs = [...node.needs].flatMap((needed) => {
      const effect = effectOf(needed);
      return effect === undefined ? [] : [[needed.id, effect] as const];
    });
    const fingerprint = makeFingerprint({
      facets: look.facets,
      inputs: look.inputs,
      outputs: outputs.states,
      missing: outputs.missing,
      needs: Object.fromEntries(needs),
      generation,
    });
    if (look.blind || outputs.problem !== undefined || !(await this.#isOurs(node))) await this.failed(node);
    // Not to remember only means to run again.
    else await store.write(this.#key(node), fingerprint).catch(() => {});
    return effectOfFingerprint(node, fingerprint);
  }

  /** Forgets a task that did not succeed, also what another run has written meanwhile: both were at it. */
  async failed(node: TaskNode): Promise<void> {
    await this.#settings.store.remove(this.#key(node)).catch(() => {});
  }

  /** The effect of a task that says nothing of itself but did report. */
  async reported(node: TaskNode, report: 'changed' | 'unchanged'): Promise<Effect> {
    const { store } = this.#settings;
    const key = this.#key(node);
    if (report === 'unchanged') return parseFingerprint(await store.read(key))?.generation ?? 'none';
    const generation = randomUUID();
    const fields = { facets: {}, inputs: {}, outputs: {}, missing: [], needs: {}, generation };
    await store.write(key, makeFingerprint(fields)).catch(() => {});
    return generation;
  }

  /** The state of the files that a long-running task was started with. */
  async inputsEffect(node: TaskNode): Promise<Effect> {
    const { base, ignored } = this.#settings;
    const seen = await readInputs(node, globsOf(node, base), {}, ignored);
    const digests = Object.entries(seen.states).map(([path, { digest }]) => [path, digest]);
    return seen.problem === undefined ? digestOf([await facetsOf(node), digests]) : undefined;
  }

  async #changeReason(
    node: TaskNode,
    { before, facets, globs, inputs }: Pick<Look, 'before' | 'facets' | 'globs' | 'inputs'>,
    effectOf: (node: TaskNode) => Effect,
  ): Promise<string | undefined> {
    if (before === undefined) return 'no earlier success is remembered';
    const facet = changedFacet(before.facets, facets);
    if (facet !== undefined) return `its ${facet} changed`;
    const changes = changedFiles(before.inputs, inputs);
    if (changes.length > 0) return listChanges(changes);
    const reason = effectReason(node, before.needs, effectOf);
    if (reason !== undefined) return reason;
    const [missing] = before.missing;
    if (missing !== undefined) return `its output \`${missing}\` matches no file`;
    const outputs = await rereadOutputs(globs, before.outputs);
    if (outputs.problem !== undefined) return outputs.problem;
    const foreign = changedFiles(before.outputs, outputs.states);
    return foreign.length > 0 ? `its output ${listChanges(foreign)}` : undefined;
  }

  /** Whether no other run has started the same task since this one did. */
  async #isOurs(node: TaskNode): Promise<boolean> {
    const found = (await this.#settings.store.read(this.#key(node))) as { running?: unknown } | undefined;
    return found?.running === this.#marks.get(node);
  }

  #key(node: TaskNode): string {
    return `${node.id} ${JSON.stringify(this.#settings.options)}`;
  }
}

function sentence(parts: readonly string[]): string {
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return `${first} ${/^1 |^its/.test(first) ? 'says' : 'say'}`;
  return `${[first, ...rest].join(', ')} and ${last} say`;
}
