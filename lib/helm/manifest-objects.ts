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
 * The types of its objects in kubectl's words, with their group, for two groups may have a kind of one name. Only the lines that
 * name them are read, so that the cluster can be asked while the rest is parsed.
 */
export const typesOf = (manifest: string): string[] =>
  manifest.split(/^---.*$/m).flatMap((text) => {
    const kind = /^kind: *["']?(\w+)/m.exec(text)?.[1];
    const group = /^apiVersion: *["']?([\w.-]+)\//m.exec(text)?.[1];
    return kind === undefined ? [] : [group === undefined ? kind : `${kind}.${group}`];
  });

/** The objects of a manifest. A document that cannot be read, or is no object, is left out. */
export async function manifestObjects(manifest: string): Promise<ManifestObject[]> {
  const { parseAllDocuments } = await import('yaml');
  // A repeated key is the API server's to refuse; looking for them takes long.
  return [...parseAllDocuments(manifest, { uniqueKeys: false })].flatMap((document) => {
    const object = document.errors.length === 0 ? (document.toJS() as ManifestObject | null) : null;
    return object?.apiVersion && object.kind && object.metadata?.name ? [object] : [];
  });
}

/** With the marks that helm adds to every object of a release. */
export const withMarks = <Kind extends ManifestObject>(object: Kind, { name, namespace }: Owner): Kind => ({
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
