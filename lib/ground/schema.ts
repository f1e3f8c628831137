import * as v from 'valibot';
import { didYouMean } from '../runner/runner.ts';
import { isTree, type Tree } from './tree.ts';

/*
 * Building blocks of schemas for YAML files. `rule` says what a value has to be, in words that follow "to be" or "must be":
 * errors show it, and so do editors, as the description in the JSON Schema.
 */

export const text = (rule = 'a text that is not empty', form = /./) =>
  v.pipe(v.string(rule), v.regex(form, rule), v.description(rule));

export const wholeNumber = (rule: string, max = Number.MAX_SAFE_INTEGER) =>
  v.pipe(v.number(rule), v.integer(rule), v.minValue(1, rule), v.maxValue(max, rule), v.description(rule));

export const choice = <const Words extends readonly string[]>(rule: string, words: Words) =>
  v.pipe(v.picklist(words, rule), v.description(rule));

export const flag = v.boolean('`true` or `false`');

/** A map of anything. */
export const anyMap = v.pipe(v.any(), v.check<Tree, string>(isTree, 'a map'));

/** A map with these keys, and no others. */
export const map = <const Entries extends v.ObjectEntries>(entries: Entries) =>
  v.pipe(
    anyMap,
    v.strictObject(entries, ({ expected, path }) => {
      const key = String(path?.[0].key);
      if (expected !== 'never') return v.getDescription(entries[key] as v.GenericSchema) ?? 'a map';
      const known = Object.keys(entries);
      return didYouMean(key, known, `remove it; known here: ${known.join(', ')}`);
    }),
  );

/** Names that valibot's `record` skips unchecked. */
const skipped = ['__proto__', 'constructor', 'prototype'];

/** A map from names to values of one kind. */
export const mapOf = <Value extends v.GenericSchema>(value: Value, name = text()) =>
  v.pipe(
    anyMap,
    v.check(
      (found) => isTree(found) && !skipped.some((key) => Object.hasOwn(found, key)),
      `a map without the names ${skipped.join(', ')}`,
    ),
    v.record(name, value),
  );

/** What is wrong with a value: where, and what belongs there; for an unknown key, the advice. */
export type Problem = { readonly path: readonly string[]; readonly rule: string; readonly isUnknown?: true };

/** The value as the schema types it, or the most telling problem: an unknown key is often why another one is missing. */
export function read<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
): { readonly output: v.InferOutput<Schema> } | { readonly problem: Problem } {
  const { success, output, issues } = v.safeParse(schema, value);
  if (success) return { output };
  const unknown = issues.find(({ expected }) => expected === 'never');
  const { path = [], message } = unknown ?? issues[0];
  const problem = { path: path.map(({ key }) => String(key)), rule: message };
  return { problem: unknown ? { ...problem, isUnknown: true } : problem };
}
