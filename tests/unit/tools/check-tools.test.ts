import { delimiter } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { checkTools, type ToolRow, toolTable } from '../../../lib/tools/check-tools.ts';
import { loadManifest } from '../../../lib/tools/manifest.ts';
import { lastWords } from '../../../lib/tools/tool-context.ts';
import { toolEnvironment } from '../../../lib/tools/tools.ts';
import { inPlace, type Place } from './tool-fixture.ts';

/** Nothing of the system on PATH, and every release host counts as reachable without being asked. */
async function rowsOf(
  place: Place,
  provider: ProviderName,
  kubernetesVersion = 'v1.31.0',
): Promise<Map<string, ToolRow>> {
  process.env.PATH = place.bin;
  process.env.HTTPS_PROXY = 'http://127.0.0.1:9';
  const rows = await checkTools(provider, { kubernetesVersion });
  return new Map(rows.map((row) => [row.name, row]));
}

test('shows what is installed, what can be installed and what is missing', () =>
  inPlace(async (place) => {
    const helm = place.script('helm', 'echo v4.0.2');
    place.script('gpg', 'echo "gpg (GnuPG) 2.0.22"');
    const rows = await rowsOf(place, 'embedded');
    assert.equal(rows.get('helm'), {
      name: 'helm',
      for: 'charts and releases',
      needed: true,
      state: 'installed',
      version: '4.0.2',
      source: 'PATH',
      path: helm,
      how: null,
    });
    assert.is(rows.get('vault')?.state, 'can be installed');
    assert.is(
      rows.get('vault')?.how,
      '`npx tsx tasks.ts install-tools` downloads it from releases.hashicorp.com',
    );
    assert.is(rows.get('gpg')?.state, 'missing');
    assert.match(
      rows.get('gpg')?.how ?? '',
      /^gpg 2\.0\.22 at \S+ is too old; put gpg 2\.2\.8 or newer on PATH: install GnuPG/,
    );
    assert.is(rows.get('docker')?.needed, false);
    // Not the pinned version.
    const other = await rowsOf(place, 'minikube', 'v1.99.0');
    assert.is(other.get('docker')?.needed, true);
    assert.is(other.get('kube-apiserver')?.state, 'missing');
    assert.match(other.get('kube-apiserver')?.how ?? '', /^put kube-apiserver 1\.99\.0 on PATH/);
  }));

test('an image is a source only with pinned checksums', () =>
  inPlace(async (place) => {
    const { image } = (await loadManifest()).tools['vault-secrets-operator'];
    if (image === undefined) throw new Error('the operator has no image');
    const { digest, archive } = image;
    const { sha256 } = archive;
    const howWith = async (pins: { digest?: string | undefined; sha256?: string | undefined }) => {
      Object.assign(image, { digest: pins.digest });
      Object.assign(archive, { sha256: pins.sha256 });
      return (await rowsOf(place, 'embedded')).get('vault-secrets-operator')?.how ?? '';
    };
    try {
      const pinned = { digest: 'sha256:0', sha256: '0' };
      assert.match(await howWith(pinned), /extracts it from the image docker\.io\/hashicorp/);
      assert.match(await howWith({ ...pinned, sha256: undefined }), /builds it from Go modules/);
      assert.match(await howWith({ ...pinned, digest: undefined }), /builds it from Go modules/);
    } finally {
      await howWith({ digest, sha256 });
    }
  }));

test('the table puts first what the provider needs', () =>
  inPlace(async (place) => {
    const rows = await rowsOf(place, 'existing');
    const lines = toolTable([...rows.values()], 'existing').split('\n');
    assert.is(lines[0], 'provider existing needs:');
    assert.match(
      lines[1] ?? '',
      /^ {2}sops +3\.13\.2 {2}can be installed +`.* install-tools` downloads it from github\.com$/,
    );
    assert.ok(lines.indexOf('not needed for it:') > 0);
  }));

test('tools on PATH add nothing to it', () =>
  inPlace(async (place) => {
    place.script('helm', 'echo v4.0.2');
    assert.is(await toolEnvironment(['helm']), [place.bin, '/usr/bin', '/bin'].join(delimiter));
  }));

test('of a failing program the line about its error is kept', () => {
  assert.is(
    lastWords('mise WARN  not found, failed\nmise ERROR dns error\nmise ERROR Run with --verbose'),
    'mise ERROR dns error',
  );
  assert.is(
    lastWords('compiling\ngo: example.org/x: no matching hash\n'),
    'go: example.org/x: no matching hash',
  );
  assert.is(lastWords('panic: bad\n\ngoroutine 1 [running]:\nmain.main()\nexit status 2\n'), 'panic: bad');
  assert.is(lastWords('WARN failed once'), 'WARN failed once');
  assert.is(lastWords('\n'), 'it printed nothing');
});

test.run();
