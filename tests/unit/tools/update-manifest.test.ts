import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { updateManifest } from '../../../lib/tools/update-manifest.ts';
import { fails } from '../../rig/task-context.ts';
import { type PlayedRegistry, playedRegistry } from './played-registry.ts';
import { type Place, placed } from './tool-fixture.ts';

/** A manifest with one image, whose checksums are not pinned, and an npm that knows mise for Linux on x64 alone. */
const withManifest = (
  name: string,
  body: (file: string, registry: PlayedRegistry, place: Place) => Promise<void>,
): void =>
  placed(name, async (place) => {
    const registry = await playedRegistry();
    const { digest: _digest, archive, ...image } = registry.recipe;
    const { sha256: _sha256, ...unpinned } = archive;
    const integrity = { other: 'sha512-y' };
    const mise = { version: '2026.1.2', package: '@smith/mise-{platform}', integrity };
    const text = stringify({ mise, tools: { hammer: { image: { ...image, archive: unpinned } } } });
    const file = join(place.folder, 'manifest.yaml');
    writeFileSync(file, `# Kept.\n${text}`);
    place.script(
      'npm',
      'case "$*" in "view --loglevel=error --fetch-retries=0 @smith/mise-linux-x64@2026.1.2 dist.integrity") echo sha512-x ;; *) echo "npm error 404 Not Found" >&2; exit 1 ;; esac',
    );
    await body(file, registry, place);
  });

withManifest('missing pins are filled in, or reported', async (file, { recipe }, place) => {
  const unpinned = readFileSync(file, 'utf8');
  const missing = ['linux-arm64', 'darwin-x64', 'darwin-arm64'].map(
    (platform) => `mise 2026.1.2 on ${platform}: npm error 404 Not Found`,
  );
  assert.equal(await updateManifest(place.context, file), missing);
  const text = readFileSync(file, 'utf8');
  assert.is(text.replace(/^ *(linux-x64|digest|sha256): .*\n/gm, ''), unpinned, 'the rest stays as it was');
  const { mise, tools } = parse(text);
  assert.is(mise.integrity['linux-x64'], 'sha512-x');
  assert.is(tools.hammer.image.digest, recipe.digest);
  assert.is(tools.hammer.image.archive.sha256, recipe.archive.sha256);
  await updateManifest(place.context, file);
  assert.is(readFileSync(file, 'utf8'), text);
});

withManifest('another checksum than the pinned one is refused', async (file, { fault }, place) => {
  await updateManifest(place.context, file);
  const text = readFileSync(file, 'utf8');
  fault.answer = (path) => (path === '/hammer.tgz' ? { body: Buffer.from('other') } : undefined);
  const why = /^tools\.hammer\.image\.archive\.sha256: [0-9a-f]{64}$/;
  assert.instance(await fails(updateManifest(place.context, file), { why }), TaskError);
  assert.is(readFileSync(file, 'utf8'), text);
});

withManifest('a refusal of the registry is reported', async (file, { fault }, place) => {
  fault.answer = (path) => (/manifests/.test(path) ? { status: 429 } : undefined);
  const missing = await updateManifest(place.context, file);
  assert.match(missing.join('\n'), /^hammer 1\.2\.3 in its image: \S+ limits the rate of requests/m);
});

test.run();
