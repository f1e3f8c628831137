import { gzipSync } from 'node:zlib';

/** A revision as helm keeps it: gzipped JSON, in base64, in the base64 of a Secret. */
export function helmRecord(id: string, status: string, content: object = {}, version = 1) {
  const [namespace, name] = id.split('/');
  const packed = gzipSync(JSON.stringify({ manifest: '', info: {}, ...content })).toString('base64');
  const labels = { name, status, version: String(version), owner: 'helm' };
  return {
    metadata: { name: `sh.helm.release.v1.${name}.v${version}`, namespace, labels },
    data: { release: Buffer.from(packed).toString('base64') },
  };
}
