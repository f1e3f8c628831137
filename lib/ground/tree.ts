export type Tree = { [key: string]: unknown };

export const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value at a path of keys or list indexes; undefined if there is none. */
export const valueAt = (tree: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (above, key) =>
      typeof above === 'object' && above !== null && Object.hasOwn(above, key)
        ? (above as Tree)[key]
        : undefined,
    tree,
  );

/** Merges maps and replaces other values, as helmfile does for `--state-values-file`. */
export function merge(below: Tree, above: Tree): Tree {
  const all = Object.entries(above).map(([key, value]) => {
    const base = valueAt(below, [key]);
    return [key, isTree(base) && isTree(value) ? merge(base, value) : value] as const;
  });
  // Assignment would lose a key `__proto__`.
  return Object.fromEntries([...Object.entries(below), ...all]);
}

type Leaf = { readonly path: readonly string[]; readonly value: unknown };

/** All values of a tree except maps and lists. */
export function leavesOf(tree: unknown, above: readonly string[] = []): Leaf[] {
  if (typeof tree !== 'object' || tree === null) return [{ path: above, value: tree }];
  return Object.entries(tree).flatMap(([key, value]) => leavesOf(value, [...above, key]));
}
