import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { onPlatform } from '../../../lib/runner/tests/rig/platform.ts';
import {
  cloneKey,
  homesOf,
  plainStateOf,
  remember,
  remembered,
  removeRunFolders,
  runFolder,
  writeWhole,
} from '../../../lib/settings/environment.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { environmentIn, fails, taskContext } from '../../rig/task-context.ts';

const clone = copyOf('environments');

test.after.each(clone.reset);

test('clones and environments have different, stable keys, and their files are below their state folder', () => {
  const keys = [cloneKey('development', '/a'), cloneKey('development', '/b'), cloneKey('staging', '/a')];
  for (const key of keys) assert.match(key, /^[0-9a-f]{8}$/);
  assert.is(new Set([...keys, cloneKey('development', '/a')]).size, 3);
  const environment = environmentIn(root);
  assert.is(environment.state, join(root, '.state', 'development'));
  for (const [name, path] of Object.entries(homesOf(environment)))
    assert.ok(name === 'GNUPGHOME' || path.startsWith(`${environment.state}/`), name);
});

test('the keyring of a deep clone is where the socket of gpg-agent has a path short enough, whatever TMPDIR says', async () => {
  const deep = `/home/${'k'.repeat(100)} `;
  const { gnupgHome, plainState } = environmentIn(deep);
  assert.is(basename(gnupgHome), `k8sd-${cloneKey('development', deep)}`);
  assert.ok(`${gnupgHome}/S.gpg-agent.browser`.length <= 107);
  await onPlatform(process.platform, { TMPDIR: '/elsewhere' }, async () => {
    const other = environmentIn(deep);
    assert.equal([other.gnupgHome, other.plainState], [gnupgHome, plainState]);
  });
});

test('a path with special characters gets a link for programs that split paths; letters of any script do not', () => {
  const plain = '/home/jürgen_日本-1.2@%+/.state/a';
  assert.is(plainStateOf(plain, 'key'), plain);
  for (const name of ['a b', "it's", '$HOME', '(copy)', 'a&b', 'a,b', 'a;b', 'a#b', 'a*'])
    assert.is(plainStateOf(`/home/${name}/.state/a`, 'key'), '/tmp/k8sd-key-state', name);
});

test('only a created environment has a record, with its provider; the error for a damaged one has its fix', async () => {
  const own = { name: 'development', root: clone.folder };
  assert.is(await remembered(own), undefined);
  await remember(environmentIn(clone.folder));
  assert.equal(await remembered(own), { provider: 'embedded' });
  await remember(environmentIn(clone.folder, 'existing'));
  assert.equal(await remembered(own), { provider: 'existing', context: 'some-context' });
  const what = /^\.state\/development\/environment\.json, .* is damaged$/;
  for (const text of ['{"prov', '{}', 'null', '{"provider":"kind"}']) {
    writeFileSync(join(clone.folder, '.state/development/environment.json'), text);
    await fails(remembered(own), { what, advice: /--provider/ });
  }
});

test('files are private and replaced atomically', async () => {
  const path = join(clone.folder, '.state/deep/down/keys.json');
  await writeWhole(path, 'one');
  await writeWhole(path, 'two');
  assert.is(readFileSync(path, 'utf8'), 'two');
  const modes = [path, join(path, '..')].map((place) => statSync(place).mode & 0o777);
  assert.equal([modes, readdirSync(join(path, '..'))], [[0o600, 0o700], ['keys.json']]);
});

const state = temporaryFolder();

test('a run has one folder for temporary files, which is removed at its end', async () => {
  const { onRunEnd, end } = taskContext({});
  const first = await runFolder(state, onRunEnd);
  assert.is(await runFolder(state, () => assert.unreachable()), first);
  assert.is(statSync(first).mode & 0o777, 0o700);
  await end('done');
  assert.not(existsSync(first));
});

test('folders of killed runs are removed, also if another process has the pid now', async () => {
  await removeRunFolders(join(state, 'none'));
  const own = await runFolder(state);
  const kept = ['other', basename(own)];
  for (const name of [...kept, 'run-4194305-0a0a0a0a', `run-${process.pid}-0a0a0a0a`, `run-1-0a0a0a0a`])
    mkdirSync(join(own, '..', name, 'below'), { recursive: true });
  await removeRunFolders(state);
  assert.equal(readdirSync(join(own, '..')).sort(), kept.sort());
});

test.run();
