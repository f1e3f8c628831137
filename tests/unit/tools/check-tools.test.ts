import { delimiter } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { checkTools, toolTable } from '../../../lib/tools/check-tools.ts';
import { loadManifest } from '../../../lib/tools/manifest.ts';
import { lastWords } from '../../../lib/tools/tool-context.ts';
import { toolEnvironment } from '../../../lib/tools/tools.ts';
import { type Place, placed } from './tool-fixture.ts';

/** Nothing of the system on PATH, and every release host counts as reachable without being asked. */
async function rowsOf({ bin }: Place, provider: ProviderName, kubernetesVersion = 'v1.31.0') {
  Object.assign(process.env, { PATH: bin, HTTPS_PROXY: 'http://127.0.0.1:9' });
  const rows = await checkTools(provider, { kubernetesVersion });
  return new Map(rows.map((row) => [row.name, row]));
}

placed('shows what is installed, what can be installed and what is missing', async (place) => {
  const helm = place.script('helm', 'echo v4.0.2');
  place.script('gpg', 'echo "gpg (GnuPG) 2.0.22"');
  const rows = await rowsOf(place, 'embedded');
  assert.equal(rows.get('helm'), {
    ...{ name: 'helm', for: 'charts and releases', needed: true, state: 'installed' },
    ...{ version: '4.0.2', source: 'PATH', path: helm, how: null },
  });
  const vault = rows.get('vault');
  const install = '`npx tsx tasks.ts install-tools` downloads it from releases.hashicorp.com';
  assert.equal([vault?.state, vault?.how], ['can be installed', install]);
  // Not the pinned version.
  const other = await rowsOf(place, 'minikube', 'v1.99.0');
  for (const [row, how] of [
    [rows.get('gpg'), /^gpg 2\.0\.22 at \S+ is too old; put gpg 2\.2\.8 or newer on PATH: install GnuPG/],
    [other.get('kube-apiserver'), /^put kube-apiserver 1\.99\.0 on PATH/],
  ] as const) {
    assert.is(row?.state, 'missing');
    assert.match(row?.how ?? '', how);
  }
  assert.equal(
    [rows, other].map((all) => all.get('docker')?.needed),
    [false, true],
  );
});

placed('an image is a source only with pinned checksums', async (place) => {
  const { image } = (await loadManifest()).tools['vault-secrets-operator'];
  if (image === undefined) throw new Error('the operator has no image');
  const { digest, archive } = image;
  const { sha256 } = archive;
  const howWith = async (...pins: readonly (string | undefined)[]) => {
    Object.assign(image, { digest: pins[0] });
    Object.assign(archive, { sha256: pins[1] });
    return (await rowsOf(place, 'embedded')).get('vault-secrets-operator')?.how ?? '';
  };
  try {
    assert.match(await howWith('sha256:0', '0'), /extracts it from the image docker\.io\/hashicorp/);
    assert.match(await howWith('sha256:0'), /builds it from Go modules/);
    assert.match(await howWith(undefined, '0'), /builds it from Go modules/);
  } finally {
    await howWith(digest, sha256);
  }
});

placed('the table puts first what the provider needs', async (place) => {
  const rows = await rowsOf(place, 'existing');
  const lines = toolTable([...rows.values()], 'existing').split('\n');
  assert.is(lines[0], 'provider existing needs:');
  assert.match(
    lines[1] ?? '',
    /^ {2}sops +3\.13\.2 {2}can be installed +`.* install-tools` downloads it from github\.com$/,
  );
  assert.ok(lines.indexOf('not needed for it:') > 0);
});

placed('tools on PATH add nothing to it', async (place) => {
  place.script('helm', 'echo v4.0.2');
  assert.is(await toolEnvironment(['helm']), [place.bin, '/usr/bin', '/bin'].join(delimiter));
});

test('of a failing program the line about its error is kept', () => {
  const of = 'mise WARN  not found, failed\nmise ERROR dns error\nmise ERROR Run with --verbose';
  assert.is(lastWords(of), 'mise ERROR dns error');
  const hash = 'go: example.org/x: no matching hash';
  assert.is(lastWords(`compiling\n${hash}\n`), hash);
  assert.is(lastWords('WARN failed once'), 'WARN failed once');
  assert.is(lastWords('\n'), 'it printed nothing');
});

test.run();
