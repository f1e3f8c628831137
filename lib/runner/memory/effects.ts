import type { TaskNode } from '../node.ts';
import { neededBy } from './describe-node.ts';
import { digestOf } from './file-state.ts';
import type { Fingerprint } from './fingerprint.ts';

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
