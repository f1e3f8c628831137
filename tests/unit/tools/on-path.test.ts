import { mkdirSync, realpathSync, rmdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findOnPath } from '../../../lib/tools/on-path.ts';
import { askVersion, patience } from '../../../lib/tools/program-version.ts';
import { toolEnvironment } from '../../../lib/tools/tools.ts';
import { entryOf, inPlace, placed, writeScript } from './tool-fixture.ts';

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
    assert.equal(
      await findOnPath(entryOf(entry), requirement),
      /^[\d.]+$/.test(expected)
        ? { program, version: expected }
        : { reason: expected.replace('PROGRAM', program) },
    );
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
  const problem = `${silent} within 0.3 s`;
  const first = await askVersion(program, entryOf({})).finally(() => {
    patience.ms = usual;
  });
  assert.equal([first, await askVersion(program, entryOf({}))], [{ problem }, { problem }]);
  assert.is(calls().length, 1);
});

placed('a damaged or read-only version cache is no error', async ({ folder }) => {
  writeFileSync(join(folder, 'cache'), 'a file where a folder should be');
  assert.is(await majorOf(process.execPath), Number.parseInt(process.versions.node, 10));
});

test.run();
