import { mkdirSync, realpathSync, rmdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findOnPath } from '../../../lib/tools/on-path.ts';
import { askVersion, patience } from '../../../lib/tools/program-version.ts';
import { toolEnvironment } from '../../../lib/tools/tools.ts';
import { entryOf, inPlace, writeScript } from './tool-fixture.ts';

const kubectl = { kubernetes: 'minor', version: '1.31.0' } as const;

for (const [title, body, entry, kubernetesVersion, expected] of [
  ['a suitable version is used', 'echo hammer v1.4.2', { minimum: '1.4.0' }, '', '1.4.2'],
  ['the version may be printed on stderr', 'echo hammer 1.0.0 >&2', {}, '', '1.0.0'],
  ['a version for the cluster is used', 'echo "Client Version: v1.35.0"', kubectl, 'v1.34.2', '1.35.0'],
  ['one that is too new is named', 'echo v1.35.0', kubectl, 'v1.31.0', 'hammer 1.35.0 at PROGRAM is too new'],
  [
    'one that is too old is named',
    'echo hammer v1.3.9',
    { minimum: '1.4.0' },
    '',
    'hammer 1.3.9 at PROGRAM is too old',
  ],
  [
    'one that fails is refused',
    'echo 1.2.3; exit 1',
    {},
    '',
    'PROGRAM does not print its version with `hammer --version`: exit code 1',
  ],
  [
    'another program of that name is refused',
    'echo mallet version v1.2.3',
    { answers: 'hammer ' },
    '',
    'PROGRAM is another program: it prints "mallet version v1.2.3"',
  ],
  ['the answer of the tool is accepted', 'echo mallet v1.2.3', { answers: 'mallet ' }, '', '1.2.3'],
] as const) {
  test(`a tool on PATH: ${title}`, () =>
    inPlace(async ({ script }) => {
      const program = script('hammer', body);
      const requirement = kubernetesVersion === '' ? {} : { kubernetesVersion };
      assert.equal(
        await findOnPath(entryOf(entry), requirement),
        /^[\d.]+$/.test(expected)
          ? { program, version: expected }
          : { reason: expected.replace('PROGRAM', program) },
      );
    }));
}

test('a folder is no tool, and a missing loader is reported', () =>
  inPlace(async ({ bin }) => {
    mkdirSync(join(bin, 'hammer'));
    assert.equal(await findOnPath(entryOf({}), {}), { reason: 'not there' });
    rmdirSync(join(bin, 'hammer'));
    writeFileSync(join(bin, 'hammer'), '#!/lib/ld-of-another-system\n', { mode: 0o755 });
    const found = await findOnPath(entryOf({}), {});
    assert.match('reason' in found ? found.reason : '', /hammer cannot run here: its loader is missing/);
  }));

test('our own cache is no part of PATH', () =>
  inPlace(async ({ cache }) => {
    writeScript(join(cache, 'tools', 'hammer'), 'echo 9.9.9');
    process.env.PATH = [join(cache, 'tools'), process.env.PATH].join(delimiter);
    assert.equal(await findOnPath(entryOf({}), {}), { reason: 'not there' });
    assert.not.ok((await toolEnvironment(['go'])).includes(cache));
  }));

test('a server is taken from where the link on PATH leads to, with its companions', () =>
  inPlace(async ({ folder, bin }) => {
    const server = writeScript(join(folder, 'server', '16', 'bin', 'anvil'), 'echo "anvil 16.2"');
    symlinkSync(server, join(bin, 'anvil'));
    const path = { programs: ['anvil', 'anvil-init'], folders: [] };
    assert.equal(await findOnPath(entryOf({ path }), {}), {
      reason: `${server} has no anvil-init beside it`,
    });
    writeScript(join(folder, 'server', '16', 'bin', 'anvil-init'), '');
    assert.equal(await findOnPath(entryOf({ path }), {}), { program: server, version: '16.2.0' });
  }));

test('beside PATH, folders are looked into, the newest first', () =>
  inPlace(async ({ folder }) => {
    for (const version of ['9', '15', '17']) {
      writeScript(join(folder, 'server', version, 'bin', 'anvil'), `echo "anvil ${version}.1"`);
    }
    const entry = entryOf({
      name: 'postgresql',
      path: { programs: ['anvil'], folders: [join(folder, 'server/*/bin')] },
    });
    const newest = await findOnPath(entry, {});
    assert.is('version' in newest && newest.version, '17.1.0');
    const asked = await findOnPath(entry, { postgresqlMajor: 15 });
    assert.is('version' in asked && asked.version, '15.1.0');
  }));

const majorOf = async (program: string) => {
  const answer = await askVersion(program, entryOf({}));
  return 'version' in answer ? Number.parseInt(answer.version, 10) : answer.problem;
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

test('a script is asked every time: it may stand for another version tomorrow', () =>
  inPlace(async ({ script, calls }) => {
    const program = script('hammer', 'echo asked >> "$LOG"; echo 1.2.3');
    await askVersion(program, entryOf({}));
    await askVersion(program, entryOf({}));
    assert.is(calls().length, 2);
  }));

test('a program that does not answer is waited for once', () =>
  inPlace(async ({ script, calls }) => {
    const program = script('hammer', 'echo asked >> "$LOG"; exec sleep 100');
    const usual = patience.ms;
    patience.ms = 300;
    const problem = 'does not print its version with `hammer --version` within 0.3 s';
    const first = await askVersion(program, entryOf({})).finally(() => {
      patience.ms = usual;
    });
    assert.equal([first, await askVersion(program, entryOf({}))], [{ problem }, { problem }]);
    assert.is(calls().length, 1);
  }));

test('a damaged or read-only version cache is no error', () =>
  inPlace(async ({ folder }) => {
    writeFileSync(join(folder, 'cache'), 'a file where a folder should be');
    assert.is(await majorOf(process.execPath), Number.parseInt(process.versions.node, 10));
  }));

test.run();
