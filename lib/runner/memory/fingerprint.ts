import type { Facets } from './describe-node.ts';
import type { FileStates } from './file-state.ts';

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
