import { isTree, merge, type Tree, valueAt } from '../ground/tree.ts';

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

/**
 * Merges settings, lowest layer first. A digest is that of one image: a layer that names another repository or tag
 * without a digest of its own leaves none.
 */
export const mergeLayers = (layers: readonly Tree[]): Tree =>
  layers.reduce((below, above) => merge(merge(below, above), withoutDigests(below, above)));

function withoutDigests(below: Tree, above: Tree): Tree {
  const images = isTree(above.images) ? above.images : {};
  const replaced = Object.entries(images).filter(
    ([name, image]) =>
      isTree(image) &&
      image.digest === undefined &&
      ['repository', 'tag'].some(
        (key) => image[key] !== undefined && image[key] !== valueAt(below, ['images', name, key]),
      ),
  );
  return replaced.length === 0
    ? {}
    : { images: Object.fromEntries(replaced.map(([name]) => [name, { digest: '' }])) };
}

/** The arguments with which helmfile, which merges the same layers, drops the same digests. */
export function digestWords(layers: readonly Tree[]): string[] {
  const plain = layers.reduce(merge);
  const images = mergeLayers(layers).images;
  const dropped = Object.keys(isTree(images) ? images : {}).filter(
    (name) => valueAt(images, [name, 'digest']) !== valueAt(plain.images, [name, 'digest']),
  );
  // `--state-values-set-string` ignores an empty text.
  return dropped.flatMap((name) => ['--state-values-set', `images.${name}.digest=`]);
}
