import { type Tree, valueAt } from '../ground/tree.ts';

/** A settings file with each setting's line. */
export type Layer = {
  readonly file: string;
  readonly tree: Tree;
  readonly lineOf: (path: readonly string[]) => number;
};

/** File and line of the highest layer that has a setting; undefined if none has. */
export function placeIn(layers: readonly Layer[], path: readonly string[]): string | undefined {
  const layer = layers.findLast(({ tree }) => valueAt(tree, path) !== undefined);
  return layer && `${layer.file}:${layer.lineOf(path)}`;
}
