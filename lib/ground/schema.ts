import { didYouMean } from '@k8s-deployment/runner';
import * as v from 'valibot';
import { isTree, type Tree } from './tree.ts';

/*
 * Building blocks for schemas of YAML files. `rule` completes the sentence "Expected … to be …" in errors, and is the
 * description in the JSON Schema.
 */

export const text = (rule = 'a text that is not empty', form = /./) =>
  v.pipe(v.string(rule), v.regex(form, rule), v.description(rule));

export const wholeNumber = (rule = 'a whole number, at least 1') =>
  v.pipe(v.number(rule), v.integer(rule), v.minValue(1, rule), v.description(rule));

export const flag = v.boolean('`true` or `false`');

const mapOfAnything = (rule: string) => v.pipe(v.any(), v.check<Tree, string>(isTree, rule));

export const anyMap = mapOfAnything('a map');

/** A map with exactly these keys. */
export const map = <const Entries extends v.ObjectEntries>(entries: Entries, rule = 'a map') =>
  v.pipe(
    mapOfAnything(rule),
    v.strictObject(entries, ({ expected, path }) => {
      const key = String(path?.[0].key);
      if (expected !== 'never') return ruleOf(entries[key] as v.GenericSchema);
      const known = Object.keys(entries);
      return didYouMean(key, known, `remove it; known here: ${known.join(', ')}`);
    }),
  );

/** A map with at least these keys; the output has no others. */
export const mapWith = <const Entries extends v.ObjectEntries>(entries: Entries, rule = 'a map') =>
  v.pipe(
    mapOfAnything(rule),
    v.object(entries, ({ path }) => ruleOf(entries[String(path?.[0].key)] as v.GenericSchema)),
  );

/** The rule that a missing value breaks. */
const ruleOf = (schema: v.GenericSchema): string => v.safeParse(schema, undefined).issues?.[0].message ?? '';

/** Names that valibot's `record` does not check. */
const skipped = ['__proto__', 'constructor', 'prototype'];

/** A map of names to values of one type. */
export const mapOf = <Value extends v.GenericSchema>(
  value: Value,
  name: v.GenericSchema<string> = v.string(),
) =>
  v.pipe(
    anyMap,
    v.check(
      (found) => isTree(found) && !skipped.some((key) => Object.hasOwn(found, key)),
      `a map without the names ${skipped.join(', ')}`,
    ),
    v.record(name, value),
  );

/** An invalid value: its path and rule; for an unknown key, the advice. */
export type Problem = { readonly path: readonly string[]; readonly rule: string; readonly isUnknown?: true };

/** The typed value or the first problem. Unknown keys come first, as they often explain a missing one. */
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

/** What a wrong value is, for an error; without its content if that may be `secret`. */
export function kindOf(value: unknown, secret = false): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'an empty value';
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a map';
  const kind = typeof value === 'string' ? 'text' : typeof value;
  return secret ? `a ${kind}` : `the ${kind} \`${value}\``;
}
