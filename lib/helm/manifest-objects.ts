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
 * Types of a manifest's objects in kubectl's form, with their API group. Reads only the lines that name types, so
 * kubectl can run while the rest is parsed.
 */
export const typesOf = (manifest: string): string[] =>
  manifest.split(/^---.*$/m).flatMap((text) => {
    const kind = /^kind: *["']?(\w+)/m.exec(text)?.[1];
    const group = /^apiVersion: *["']?([\w.-]+)\//m.exec(text)?.[1];
    return kind === undefined ? [] : [group === undefined ? kind : `${kind}.${group}`];
  });

/** Objects of a manifest; skips documents that cannot be parsed or are not objects. */
export async function manifestObjects(manifest: string): Promise<ManifestObject[]> {
  const { parseAllDocuments } = await import('yaml');
  // The API server refuses duplicate keys; checking for them here is slow.
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
