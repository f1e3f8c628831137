import type { TaskNode } from '../node.ts';
import { type Facets, neededBy } from './describe-node.ts';
import { digestOf, type FileStates } from './file-state.ts';

const version = 1;

/** What is remembered of a task's last success. Paths are relative to its folder. */
export type Fingerprint = {
  readonly version: typeof version;
  readonly facets: Facets;
  readonly inputs: FileStates;
  readonly outputs: FileStates;
  /** Output globs that matched nothing after the run. */
  readonly missing: readonly string[];
  /** The effects of its needs at that time, by node; those that say nothing of themselves are absent. */
  readonly needs: { readonly [id: string]: string };
  /** Changes with every run that did or may have changed something. */
  readonly generation: string;
};

/** Checked on its way in from a file that anything may have happened to. */
export function parseFingerprint(value: unknown): Fingerprint | undefined {
  if (!isRecord(value) || value.version !== version || typeof value.generation !== 'string') return undefined;
  const { facets, inputs, outputs, missing, needs } = value;
  const good =
    isRecordOf(facets, isString) &&
    isRecordOf(needs, isString) &&
    isRecordOf(inputs, isFileState) &&
    isRecordOf(outputs, isFileState) &&
    Array.isArray(missing) &&
    missing.every(isString);
  return good ? (value as Fingerprint) : undefined;
}

export function makeFingerprint(fields: Omit<Fingerprint, 'version'>): Fingerprint {
  return { version, ...fields };
}

/** `commands`, `variable MODE`: the first facet that is not what it was; undefined when all are. */
export function changedFacet(before: Facets, now: Facets): string | undefined {
  return Object.keys({ ...before, ...now }).find((name) => before[name] !== now[name]);
}

/** `src/a.ts changed`, `src/b.ts is new`, `src/c.ts is gone`, sorted by path. */
export function changedFiles(before: FileStates, now: FileStates): string[] {
  const changes: string[] = [];
  for (const path of [...new Set([...Object.keys(before), ...Object.keys(now)])].sort()) {
    const change = changeOf(before[path]?.digest, now[path]?.digest);
    // A name may hold line breaks, and an explanation is one line.
    if (change !== undefined) changes.push(`${oneLine(path)} ${change}`);
  }
  return changes;
}

/** Control characters as JSON writes them. */
export function oneLine(text: string): string {
  return JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll('\\\\', '\\');
}

function changeOf(before: string | undefined, now: string | undefined): string | undefined {
  if (before === now) return undefined;
  return before === undefined ? 'is new' : now === undefined ? 'is gone' : 'changed';
}

function isRecord(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isRecordOf(value: unknown, isField: (field: unknown) => boolean): boolean {
  return isRecord(value) && Object.values(value).every(isField);
}

function isString(value: unknown): boolean {
  return typeof value === 'string';
}

function isFileState(value: unknown): boolean {
  return isRecord(value) && isString(value.digest) && isString(value.stamp);
}

/**
 * What a need did to the tasks that need it, as a text to compare with the one of last time:
 * - with `outputs`: their contents, so that a need that ran and made the same again re-triggers nothing;
 * - else a generation that is renewed by each run that did not report `unchanged`;
 * - undefined: the task has run and says nothing of itself (no `inputs`, no `status`, no report), so that nobody can know;
 * - `carriedOver`: it was not run because an earlier run had done it, before its dependents or as their equal.
 */
export type Effect = string | undefined;

export const carriedOver = 'carried over';

/** A task without any work of its own passes on what its needs did. */
export function joinedEffect(node: TaskNode, effectOf: (node: TaskNode) => Effect): Effect {
  const effects = neededBy(node).map(effectOf);
  if (effects.includes(undefined)) return undefined;
  return effects.length > 0 && effects.every((effect) => effect === carriedOver)
    ? carriedOver
    : digestOf(effects);
}

/** Why the effects of its needs make a task run; undefined when they do not. */
export function effectReason(
  node: TaskNode,
  before: { readonly [id: string]: string },
  effectOf: (node: TaskNode) => Effect,
): string | undefined {
  for (const needed of neededBy(node)) {
    const effect = effectOf(needed);
    if (effect === carriedOver) continue;
    if (effect === undefined)
      return `${needed.label}, which it needs, ran and does not say whether it changed anything`;
    if (before[needed.id] !== effect) return `${needed.label}, which it needs, changed something since`;
  }
  return undefined;
}

/** What an up-to-date or successful task means for the tasks that need it. */
export function effectOfFingerprint(node: TaskNode, fingerprint: Fingerprint | undefined): Effect {
  if (fingerprint === undefined) return 'none';
  if (node.task.outputs === undefined) return fingerprint.generation;
  return digestOf(Object.entries(fingerprint.outputs).map(([path, { digest }]) => [path, digest]));
}
