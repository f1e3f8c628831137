import { mkdirSync, realpathSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findOnPath } from '../../../lib/tools/on-path.ts';
import { askVersion } from '../../../lib/tools/program-version.ts';
import { toolEnvironment } from '../../../lib/tools/tools.ts';
import { entryOf, inPlace, writeScript } from './tool-fixture.ts';

test('a tool on PATH with a suitable version is used', () =>
  inPlace(async ({ script }) => {
    const program = script('hammer', 'echo hammer v1.4.2');
    assert.equal(await findOnPath(entryOf({ minimum: '1.4.0' }), {}), { program, version: '1.4.2' });
  }));

test('a tool that is too old is named with its path', () =>
  inPlace(async ({ script }) => {
    const program = script('hammer', 'echo hammer v1.3.9');
    assert.equal(await findOnPath(entryOf({ minimum: '1.4.0' }), {}), {
      reason: `hammer 1.3.9 at ${program} is too old`,
    });
  }));

test('a tool that is too new for the cluster is also named', () =>
  inPlace(async ({ script }) => {
    const program = script('hammer', 'echo "Client Version: v1.35.0"');
    const entry = entryOf({ kubernetes: 'minor', version: '1.31.0' });
    assert.equal(await findOnPath(entry, { kubernetesVersion: 'v1.31.0' }), {
      reason: `hammer 1.35.0 at ${program} is too new`,
    });
    assert.equal(await findOnPath(entry, { kubernetesVersion: 'v1.34.2' }), { program, version: '1.35.0' });
  }));

test('a tool that fails or prints no version is refused', () =>
  inPlace(async ({ script }) => {
    const program = script('hammer', 'echo 1.2.3; exit 1');
    assert.equal(await findOnPath(entryOf({}), {}), {
      reason: `${program} does not print its version with \`hammer --version\`: exit code 1`,
    });
  }));

test('another program under the tool’s name is refused, and a missing loader is reported', () =>
  inPlace(async ({ bin, script }) => {
    const program = script('hammer', 'echo mallet version v1.2.3');
    assert.equal(await findOnPath(entryOf({ answers: 'hammer ' }), {}), {
      reason: `${program} is another program: it prints "mallet version v1.2.3"`,
    });
    assert.equal(await findOnPath(entryOf({ answers: 'mallet ' }), {}), { program, version: '1.2.3' });
    writeFileSync(join(bin, 'hammer'), '#!/lib/ld-of-another-system\n', { mode: 0o755 });
    const found = await findOnPath(entryOf({}), {});
    assert.match('reason' in found ? found.reason : '', /hammer cannot run here: its loader is missing/);
  }));

test('a missing tool is not found', () =>
  inPlace(async ({ bin }) => {
    mkdirSync(join(bin, 'hammer'));
    assert.equal(await findOnPath(entryOf({}), {}), { reason: 'not there' });
  }));

test('the version may be printed on stderr', () =>
  inPlace(async ({ script }) => {
    const program = script('hammer', 'echo hammer 1.0.0 >&2');
    assert.equal(await findOnPath(entryOf({}), {}), { program, version: '1.0.0' });
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

test('the version of a program is remembered until the program changes', () =>
  inPlace(async ({ cache }) => {
    const program = realpathSync(process.execPath);
    const { size, mtimeMs } = statSync(program);
    const remember = (modified: number) => ({
      [`${program} --version`]: { size, modified, version: '99.0.0' },
    });
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, 'versions.json'), JSON.stringify(remember(mtimeMs)));
    assert.is(await majorOf(program), 99);
  }));

test('a program that changed is asked again', () =>
  inPlace(async ({ cache }) => {
    const program = realpathSync(process.execPath);
    const known = { [`${program} --version`]: { size: 1, modified: 1, version: '99.0.0' } };
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, 'versions.json'), JSON.stringify(known));
    assert.is(await majorOf(program), Number.parseInt(process.versions.node, 10));
  }));

test('a script is asked every time: it may stand for another version tomorrow', () =>
  inPlace(async ({ script, calls }) => {
    const program = script('hammer', 'echo asked >> "$LOG"; echo 1.2.3');
    await askVersion(program, entryOf({}));
    await askVersion(program, entryOf({}));
    assert.is(calls().length, 2);
  }));

test('a damaged or read-only version cache is no error', () =>
  inPlace(async ({ folder }) => {
    writeFileSync(join(folder, 'cache'), 'a file where a folder should be');
    assert.is(await majorOf(process.execPath), Number.parseInt(process.versions.node, 10));
  }));

test.run();
