/** An object as a manifest describes it. */
export type ManifestObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: { readonly [name: string]: string };
    readonly labels?: { readonly [name: string]: string };
  };
  readonly spec?: { readonly replicas?: number; readonly [key: string]: unknown };
};

type Owner = { readonly name: string; readonly namespace: string };

/**
 * The types of a manifest's objects as kubectl takes them, with their API group. Only the lines that name them are read, so the
 * cluster can be asked while the rest is parsed.
 */
export const typesOf = (manifest: string): string[] =>
  manifest.split(/^---.*$/m).flatMap((text) => {
    const kind = /^kind: *["']?(\w+)/m.exec(text)?.[1];
    const group = /^apiVersion: *["']?([\w.-]+)\//m.exec(text)?.[1];
    return kind === undefined ? [] : [group === undefined ? kind : `${kind}.${group}`];
  });

/** The objects of a manifest, without documents that cannot be parsed or are not objects. */
export async function manifestObjects(manifest: string): Promise<ManifestObject[]> {
  const { parseAllDocuments } = await import('yaml');
  // The API server refuses repeated keys; checking for them here is slow.
  return [...parseAllDocuments(manifest, { uniqueKeys: false })].flatMap((document) => {
    const object = document.errors.length === 0 ? (document.toJS() as ManifestObject | null) : null;
    return object?.apiVersion && object.kind && object.metadata?.name ? [object] : [];
  });
}

/** The object with the labels and annotations that helm adds to every object of a release. */
export const withHelmLabels = <Kind extends ManifestObject>(
  object: Kind,
  { name, namespace }: Owner,
): Kind => ({
  ...object,
  metadata: {
    ...object.metadata,
    annotations: {
      ...object.metadata.annotations,
      'meta.helm.sh/release-name': name,
      'meta.helm.sh/release-namespace': namespace,
    },
    labels: { ...object.metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' },
  },
});
