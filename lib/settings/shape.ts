import { isTree, type Tree } from '../ground/tree.ts';
import type { Rule } from './rules.ts';

/** Values of another chart than the one of common.yaml. */
export const otherValues = /^(?:charts\.[^.]+|ingress\.chart)\.values$/;

/** Below them names are free, or the chart's own schema says what there is. */
export const freeNames =
  /^(?:releases\.[^.]+|ingress\.values|database\.(?:applications|issuers)|buildArguments)$/;

const isKind = (value: unknown, model: unknown): boolean =>
  isTree(model) || Array.isArray(model)
    ? isTree(model) === isTree(value) && Array.isArray(model) === Array.isArray(value)
    : typeof value === typeof model;

const kindOf = (model: unknown): string => {
  if (isTree(model)) return 'a map';
  if (Array.isArray(model)) return 'a list';
  return (
    { string: 'a text', number: 'a number', boolean: '`true` or `false`' }[String(typeof model)] ?? 'empty'
  );
};

/** Every setting is of the kind that its default in common.yaml has; maps come first, as what they hold depends on them. */
export function shapeRules(settings: Tree, known: Tree): { readonly maps: Rule[]; readonly others: Rule[] } {
  const maps: Rule[] = [];
  const others: Rule[] = [];
  const walk = (tree: Tree, model: Tree, above: readonly string[]): void => {
    for (const [key, value] of Object.entries(tree)) {
      const path = [...above, key];
      const name = path.join('.');
      const below = otherValues.test(name) ? {} : model[key];
      (isTree(below) ? maps : others).push([path, kindOf(below), (found) => isKind(found, below)]);
      if (otherValues.test(name) || freeNames.test(name)) continue;
      if (isTree(value) && isTree(below)) walk(value, below, path);
    }
  };
  walk(settings, known, []);
  return { maps, others };
}
