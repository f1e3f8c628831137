/** A map of settings. */
export type Tree = { [key: string]: unknown };

export const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What stands under a path of keys (of a list: positions); undefined where there is nothing. */
export const valueAt = (tree: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (above, key) =>
      typeof above === 'object' && above !== null && Object.hasOwn(above, key)
        ? (above as Tree)[key]
        : undefined,
    tree,
  );

/** Maps merge, everything else is replaced: helmfile's own rule for `--state-values-file`. */
export function merge(below: Tree, above: Tree): Tree {
  const all = Object.entries(above).map(([key, value]) => {
    const base = valueAt(below, [key]);
    return [key, isTree(base) && isTree(value) ? merge(base, value) : value] as const;
  });
  // Not by assignment: a key `__proto__` would vanish.
  return Object.fromEntries([...Object.entries(below), ...all]);
}
