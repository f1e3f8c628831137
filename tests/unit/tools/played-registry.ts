import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { dirname, join } from 'node:path';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import type { ImageRecipe } from '../../../lib/tools/manifest.ts';
import { serve } from '../../rig/loopback.ts';

export type PlayedRegistry = {
  /** A recipe for the image and archive below, with the right checksums. */
  readonly recipe: ImageRecipe & { readonly digest: string };
  /** Paths that were asked for, in order, of both servers. */
  readonly asked: string[];
  /** Takes the place of the usual answer to a path; by default all is well. */
  readonly fault: { answer: (path: string) => { status?: number; body?: Uint8Array } | 'hang' | undefined };
};

const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** A packed archive of these files. */
function packed(files: Readonly<Record<string, string>>): Buffer {
  const folder = temporaryFolder();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content, { mode: 0o755 });
  }
  return execFileSync('tar', ['-cz', '.'], { cwd: folder });
}

const layers = [
  { 'etc/passwd': 'root' },
  { hammer: '#!/bin/sh\necho hammer 1.2.3\n' },
  { 'licenses/text': 'free' },
].map(packed);
const archive = packed({
  'hammer/chart/Chart.yaml': 'name: hammer',
  'hammer/chart/crds/nail.yaml': 'kind: Nail',
});

/**
 * A registry with one image, which has the program `hammer` in its middle layer for each of `architectures`, and a
 * storage host that the registry redirects to. As with Docker Hub, nothing is answered without a token, and the storage
 * refuses the token.
 */
export async function playedRegistry(
  architectures: readonly string[] = ['amd64', 'arm64'],
): Promise<PlayedRegistry> {
  const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const digestOf = (content: Uint8Array): string => `sha256:${sha256(content)}`;
  const image = bytes({ layers: layers.map((layer) => ({ digest: digestOf(layer) })) });
  const platforms = architectures.map((architecture) => ({ os: 'linux', architecture }));
  const list = bytes({ manifests: platforms.map((platform) => ({ digest: digestOf(image), platform })) });
  const contents = new Map([image, list, ...layers].map((content) => [digestOf(content), content]));

  const asked: string[] = [];
  const fault: PlayedRegistry['fault'] = { answer: () => undefined };
  const played = (usual: (...call: Parameters<RequestListener>) => unknown): Promise<string> =>
    serve((request, response) => {
      const path = request.url ?? '';
      asked.push(path);
      const answer = fault.answer(path);
      if (answer === undefined) usual(request, response);
      else if (answer === 'hang') response.writeHead(200).write('half');
      else response.writeHead(answer.status ?? 200).end(answer.body);
    });

  const files = await played((request, response) => {
    const [path = ''] = (request.url ?? '').slice(1).split('?');
    const content = path === 'hammer.tgz' ? archive : contents.get(`sha256:${path}`);
    const status = request.headers.authorization !== undefined ? 400 : content === undefined ? 404 : 200;
    response.statusCode = status;
    // Without `writeHead`, with its length.
    response.end(content);
  });
  const host: string = await played((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    if (path === '/token') return response.end(JSON.stringify({ token: 'pass' }));
    if (request.headers.authorization !== 'Bearer pass') {
      const challenge = `Bearer realm="http://${host}/token",service="played",scope="repository:smith/hammer:pull"`;
      return response.writeHead(401, { 'WWW-Authenticate': challenge }).end('{}');
    }
    const [, kind, reference = ''] = /^\/v2\/smith\/hammer\/(manifests|blobs)\/(.+)$/.exec(path) ?? [];
    const digest = reference === '1.2.3' ? digestOf(list) : reference;
    if (!contents.has(digest)) return response.writeHead(404).end();
    if (kind === 'manifests') return response.end(contents.get(digest));
    return response
      .writeHead(307, { Location: `http://${files}/${digest.replace('sha256:', '')}?key=hidden` })
      .end();
  });
  const folders = { crds: 'hammer/chart/crds', chart: 'hammer/chart' };
  const recipe = {
    ...{ repository: `${host}/smith/hammer`, tag: '1.2.3', digest: digestOf(list), program: 'hammer' },
    archive: { url: `http://${files}/hammer.tgz`, sha256: sha256(archive), folders },
  };
  return { recipe, asked, fault };
}
