import { spawnSync } from 'node:child_process';
import { mkdirSync, realpathSync, rmdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { checkTools, toolTable } from '../../../lib/tools/check-tools.ts';
import { findOnPath } from '../../../lib/tools/on-path.ts';
import { plainCommands } from '../../../lib/tools/plain-commands.ts';
import { askVersion, patience } from '../../../lib/tools/program-version.ts';
import { lastWords } from '../../../lib/tools/tool-context.ts';
import { toolEnvironment } from '../../../lib/tools/tools.ts';
import { entryOf, inPlace, type Place, placed, writeScript } from './tool-fixture.ts';

const silent = 'does not print its version with `hammer --version`';
const kubectl = { kubernetes: 'minor', version: '1.31.0' } as const;

placed('a tool on PATH is used, or it is said what is wrong with it', async ({ script }) => {
  for (const [body, entry, kubernetesVersion, expected] of [
    ['echo hammer v1.4.2', { minimum: '1.4.0' }, '', '1.4.2'],
    ['echo hammer on stderr 1.0.0 >&2', {}, '', '1.0.0'],
    ['echo v1.35.0', kubectl, 'v1.31.0', 'hammer 1.35.0 at PROGRAM is too new'],
    ['echo 1.2.3; exit 1', {}, '', `PROGRAM ${silent}: exit code 1`],
    ['echo mallet v1.2.3', { answers: 'mallet ' }, '', '1.2.3'],
    ['echo anvil 1.2.3', { answers: 'hammer ' }, '', 'PROGRAM is another program: it prints "anvil 1.2.3"'],
  ] as const) {
    const program = script('hammer', body);
    const requirement = kubernetesVersion === '' ? {} : { kubernetesVersion };
    const isVersion = /^[\d.]+$/.test(expected);
    const found = isVersion
      ? { version: expected, program }
      : { reason: expected.replace('PROGRAM', program) };
    assert.equal(await findOnPath(entryOf(entry), requirement), found);
  }
});

placed('a folder is no tool, and a missing loader is reported', async ({ bin }) => {
  mkdirSync(join(bin, 'hammer'));
  assert.equal(await findOnPath(entryOf({}), {}), { reason: 'not there' });
  rmdirSync(join(bin, 'hammer'));
  writeFileSync(join(bin, 'hammer'), '#!/lib/ld-of-another-system\n', { mode: 0o755 });
  const found = await findOnPath(entryOf({}), {});
  assert.match('reason' in found ? found.reason : '', /hammer cannot run here: its loader is missing/);
});

placed('a pasted dry run installs what a run would not take from PATH', async ({ script, bin }) => {
  for (const [name, program, way, isTaken] of [
    ['helm', 'helm', 'mise', true],
    ['postgresql', 'postgres', 'npm', true],
    // Its types and chart are beside it.
    ['vault-secrets-operator', 'vault-secrets-operator', 'go', false],
  ] as const) {
    const lines = (await plainCommands(name)).join('\n');
    const paste = () => spawnSync('/bin/sh', ['-ec', lines], { env: { PATH: bin }, encoding: 'utf8' });
    const installs = new RegExp(`${way}: (command )?not found`);
    assert.match(paste().stderr, installs);
    script(program, '');
    const { status, stderr } = paste();
    if (isTaken) assert.equal([status, stderr], [0, ''], lines);
    else assert.match(stderr, installs);
  }
});

placed('our own cache is no part of PATH', async ({ cache }) => {
  writeScript(join(cache, 'tools', 'hammer'), 'echo 9.9.9');
  process.env.PATH = [join(cache, 'tools'), process.env.PATH].join(delimiter);
  assert.equal(await findOnPath(entryOf({}), {}), { reason: 'not there' });
  assert.not.ok((await toolEnvironment(['go'])).includes(cache));
});

placed('a server is taken from where its link on PATH leads to', async ({ folder, bin }) => {
  const server = writeScript(join(folder, 'server', '16', 'bin', 'anvil'), 'echo "anvil 16.2"');
  symlinkSync(server, join(bin, 'anvil'));
  const path = { programs: ['anvil', 'anvil-init'], folders: [] };
  const alone = { reason: `${server} has no anvil-init beside it` };
  assert.equal(await findOnPath(entryOf({ path }), {}), alone);
  writeScript(join(folder, 'server', '16', 'bin', 'anvil-init'), '');
  assert.equal(await findOnPath(entryOf({ path }), {}), { program: server, version: '16.2.0' });
});

placed('beside PATH, folders are looked into, the newest first', async ({ folder }) => {
  for (const version of ['9', '15', '17'])
    writeScript(join(folder, 'server', version, 'bin', 'anvil'), `echo "anvil ${version}.1"`);
  const path = { programs: ['anvil'], folders: [join(folder, 'server/*/bin')] };
  for (const [requirement, version] of [
    [{}, '17.1.0'],
    [{ postgresqlMajor: 15 }, '15.1.0'],
  ] as const) {
    const found = await findOnPath(entryOf({ name: 'postgresql', path }), requirement);
    assert.is('version' in found && found.version, version);
  }
});

const majorOf = async (program: string) => {
  const answer = await askVersion(program, entryOf({}));
  return 'version' in answer ? Number.parseInt(answer.version, 10) : answer.reason;
};

test('the version of a program is remembered until the program changes', async () => {
  const program = realpathSync(process.execPath);
  const { size, mtimeMs: modified } = statSync(program);
  const own = Number.parseInt(process.versions.node, 10);
  for (const [known, expected] of [
    [{ size, modified }, 99],
    [{ size: 1, modified: 1 }, own],
  ] as const)
    await inPlace(async ({ cache }) => {
      mkdirSync(cache, { recursive: true });
      const remembered = { [`${program} --version`]: { ...known, version: '99.0.0' } };
      writeFileSync(join(cache, 'versions.json'), JSON.stringify(remembered));
      assert.is(await majorOf(program), expected);
    });
});

placed('a script is asked every time: its version may change', async ({ script, calls }) => {
  const program = script('hammer', 'echo asked >> "$LOG"; echo 1.2.3');
  await askVersion(program, entryOf({}));
  await askVersion(program, entryOf({}));
  assert.is(calls().length, 2);
});

placed('a program that does not answer is waited for once', async ({ script, calls }) => {
  const program = script('hammer', 'echo asked >> "$LOG"; exec sleep 100');
  const usual = patience.ms;
  patience.ms = 300;
  const reason = `${silent} within 0.3 s`;
  const first = await askVersion(program, entryOf({})).finally(() => {
    patience.ms = usual;
  });
  assert.equal([first, await askVersion(program, entryOf({}))], [{ reason }, { reason }]);
  assert.is(calls().length, 1);
});

placed('a damaged or read-only version cache is no error', async ({ folder }) => {
  writeFileSync(join(folder, 'cache'), 'a file where a folder should be');
  assert.is(await majorOf(process.execPath), Number.parseInt(process.versions.node, 10));
});

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
  ] as const)
    assert.match(`${row?.state}: ${row?.how}`, new RegExp(`^missing: ${how.source.slice(1)}`));
  assert.equal([rows.get('docker')?.needed, other.get('docker')?.needed], [false, true]);
});

placed('the table puts first what the provider needs', async (place) => {
  const rows = await rowsOf(place, 'existing');
  const lines = toolTable([...rows.values()], 'existing').split('\n');
  assert.is(lines[0], 'provider existing needs:');
  const sops = /^ {2}sops +3\.13\.2 {2}can be installed +`.* install-tools` downloads it from github\.com$/;
  assert.match(lines[1] ?? '', sops);
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
