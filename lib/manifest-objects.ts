/** What an object is found by in a cluster. */
export type ObjectName = {
  /** Without its version, which the server may answer in another one; empty for the core group. */
  readonly group: string;
  readonly kind: string;
  /** Empty where the manifest names none: that of the release, or none for what belongs to the whole cluster. */
  readonly namespace: string;
  readonly name: string;
};

/**
 * The objects of a manifest as helm stores it, except Jobs that remove themselves. Only the lines that name an object are
 * read: parsing all of it would take longer than asking the cluster. A document that is written in an unusual way is left
 * out, so that what is not understood is never taken for missing.
 */
export function objectsOf(manifest: string): ObjectName[] {
  return manifest.split(/^---.*$/m).flatMap((text) => {
    const kind = scalar(/^kind:(.*)$/m.exec(text)?.[1]);
    const version = scalar(/^apiVersion:(.*)$/m.exec(text)?.[1]);
    // Its lines are indented, empty, or comments at any place.
    const metadata = /^metadata:[ \t]*\n((?:(?:[ \t#].*)?\n)*)/m.exec(`${text}\n`)?.[1] ?? '';
    const indent = /^( +)[^\s#]/m.exec(metadata)?.[1] ?? ' ';
    const field = (name: string) => scalar(new RegExp(`^${indent}${name}:(.*)$`, 'm').exec(metadata)?.[1]);
    const name = field('name');
    if (kind === '' || version === '' || name === '') return [];
    if (kind === 'Job' && /^ +ttlSecondsAfterFinished:/m.test(text)) return [];
    const group = version.includes('/') ? (version.split('/')[0] ?? '') : '';
    return [{ group, kind, namespace: field('namespace'), name }];
  });
}

/** The text of a plain or quoted YAML scalar that stands on one line; names hold no character that is escaped. */
function scalar(text = ''): string {
  const [, double, single, plain] =
    /^\s*(?:"([^"]*)"|'([^']*)'|([^\s"'{[|>&*!#]\S*))\s*(?:#.*)?$/.exec(text) ?? [];
  return double ?? single ?? plain ?? '';
}
