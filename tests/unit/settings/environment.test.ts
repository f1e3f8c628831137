import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import {
  cloneKey,
  environmentOf,
  homesOf,
  plainStateOf,
  remember,
  remembered,
  writeWhole,
} from '../../../lib/settings/environment.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { failureOf } from '../../rig/task-context.ts';

const clone = copyOf('environments');

test.after.each(clone.reset);
test.after(clone.remove);

test('clones and environments have different, stable keys', () => {
  const key = cloneKey('development', '/a');
  assert.match(key, /^[0-9a-f]{8}$/);
  assert.is(cloneKey('development', '/a'), key);
  assert.is.not(cloneKey('development', '/b'), key);
  assert.is.not(cloneKey('staging', '/a'), key);
});

test("the context is that of the provider's cluster", () => {
  const name = `development-${cloneKey('development', root)}`;
  assert.is(environmentOf({ env: 'development', provider: 'minikube' }).context, name);
  assert.is(environmentOf({ env: 'development', provider: 'embedded' }).context, `kwok-${name}`);
  const existing = environmentOf({ env: 'development', provider: 'existing', context: 'team' });
  assert.is(existing.context, 'team');
});

test('all files of an environment are below its state folder', () => {
  const environment = environmentOf({ env: 'development', provider: 'embedded' });
  assert.is(environment.state, join(root, '.state', 'development'));
  for (const [name, path] of Object.entries(homesOf(environment))) {
    if (name !== 'GNUPGHOME') assert.ok(path.startsWith(`${environment.state}/`), name);
  }
});

test('the keyring of a deep clone moves to a folder in which the socket of gpg-agent has a path short enough', () => {
  const deep = `/home/${'k'.repeat(100)}`;
  const environment = environmentOf({ env: 'development', provider: 'embedded' }, deep);
  assert.is(basename(environment.gnupgHome), `k8sd-${cloneKey('development', deep)}`);
  assert.ok(`${environment.gnupgHome}/S.gpg-agent.browser`.length <= 107);
});

test('short and plain paths of a clone stay the same when TMPDIR changes', () => {
  const { TMPDIR } = process.env;
  const paths = (): string[] => {
    const deep = `/home/${'k'.repeat(100)} `;
    const { gnupgHome, plainState } = environmentOf({ env: 'development', provider: 'embedded' }, deep);
    return [gnupgHome, plainState];
  };
  const before = paths();
  try {
    process.env.TMPDIR = '/elsewhere';
    assert.equal(paths(), before);
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
});

test('a path with special characters gets a link for programs that split paths; letters of any script do not', () => {
  const plain = '/home/jürgen_日本-1.2@%+/.state/a';
  assert.is(plainStateOf(plain, 'key'), plain);
  for (const name of ['a b', "it's", '$HOME', '(copy)', 'a&b', 'a,b', 'a;b', 'a#b', 'a*'])
    assert.is(plainStateOf(`/home/${name}/.state/a`, 'key'), '/tmp/k8sd-key-state', name);
});

test('only a created environment has a record, with its provider', async () => {
  assert.is(await remembered({ name: 'development', root: clone.folder }), undefined);
  await remember(environmentOf({ env: 'development', provider: 'embedded', context: 'no' }, clone.folder));
  assert.equal(await remembered({ name: 'development', root: clone.folder }), { provider: 'embedded' });
  await remember(environmentOf({ env: 'development', provider: 'existing', context: 'team' }, clone.folder));
  assert.equal(await remembered({ name: 'development', root: clone.folder }), {
    provider: 'existing',
    context: 'team',
  });
});

test('a damaged record is reported with its fix', async () => {
  await remember(environmentOf({ env: 'development', provider: 'embedded' }, clone.folder));
  for (const text of ['{"prov', '{}', 'null', '{"provider":"kind"}']) {
    writeFileSync(join(clone.folder, '.state/development/environment.json'), text);
    const error = await failureOf(remembered({ name: 'development', root: clone.folder }));
    assert.match(error.what, /^\.state\/development\/environment\.json, .* is damaged$/, text);
    assert.match(error.advice, /--provider/);
  }
});

test('files are private and replaced atomically', async () => {
  const path = join(clone.folder, '.state/deep/down/keys.json');
  await writeWhole(path, 'one');
  await writeWhole(path, 'two');
  assert.is(readFileSync(path, 'utf8'), 'two');
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.is(statSync(join(path, '..')).mode & 0o777, 0o700);
  assert.equal(readdirSync(join(path, '..')), ['keys.json']);
});

test.run();
