import { chmod, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type FingerprintSettings,
  type Fingerprints,
  type Look,
  openFingerprints,
} from '../../../memory/fingerprint.ts';
import { isTracked } from '../../../memory/record.ts';
import type { AnyTask, TaskDefinition } from '../../../task.ts';
import { folder, useFolder } from '../../rig/folder.ts';
import { graphOf, plain } from '../../rig/graphs.ts';
import { refusalOf } from '../../rig/refusal.ts';

type Definition = Partial<TaskDefinition<Record<never, never>>>;

useFolder(test);
let status: string | undefined;
test.before.each(async () => {
  status = undefined;
  await mkdir(join(folder, 'src'));
  await write('src/a.ts', 'one');
});

const write = (path: string, text: string): Promise<void> => writeFile(join(folder, path), text);
const memory = (): string => join(folder, '.tasks');
const forgotten = 'no earlier success is remembered';

const define = (more: Definition = {}): AnyTask =>
  plain('build', { inputs: ['src/**'], commands: () => ['c'], ...more });

const opened = (more: Partial<FingerprintSettings> = {}): Fingerprints => {
  const rest = { options: {}, base: folder, force: false, askStatus: async () => status };
  return openFingerprints({ memory: memory(), ...rest, ...more });
};

/** As a run does it: looks at each task, and runs to a good end what needs it. Returns the reason of the last task. */
async function go(definition: AnyTask, by = opened()): Promise<string> {
  let look: Look | undefined;
  for (const node of (await graphOf(definition)).nodes.filter(isTracked)) {
    look = await by.look(node);
    if (!look.run) continue;
    await by.started(node);
    await by.succeeded(node);
  }
  return look?.run ? look.reason : `fresh: ${look?.reason}`;
}

test('a task runs, is up to date, and runs again for each thing that counts', async () => {
  const moved = (): Promise<void> => rename(join(folder, 'src/a.ts'), join(folder, 'src/c.ts'));
  const steps: [string, Definition, () => unknown][] = [
    [forgotten, {}, () => {}],
    ['src/a.ts changed', {}, () => write('src/a.ts', 'two')],
    ['src/b.ts is new', {}, () => write('src/b.ts', 'two')],
    ['src/a.ts is gone and 1 more change', {}, moved],
    ['src/b.ts changed', {}, () => chmod(join(folder, 'src/b.ts'), 0o755)],
    ['src/b.ts changed', {}, () => write('src/b.ts', 'x'.repeat(3 << 20))],
    // A name with a line break stays on one line.
    ['src/d\\ne.ts is new', {}, () => write('src/d\ne.ts', '')],
    ['its code changed', { run: () => {} }, () => {}],
    ['its list of inputs changed', { run: () => {}, inputs: async () => ['src/*'] }, () => {}],
    ['its commands changed', { run: () => {}, inputs: ['src/*'], commands: () => ['o'] }, () => {}],
  ];
  for (const [reason, more, change] of steps) {
    await change();
    assert.is(await go(define(more)), reason);
    assert.match(await go(define(more)), /^fresh: /, reason);
  }
});

test('the inputs of its needs count as its own, also behind a need without any', async () => {
  const generate = define({ name: 'generate' });
  const group = plain('group', { needs: [generate] });
  const top = define({ name: 'top', inputs: [], needs: [group], after: [plain('other')] });
  await go(top);
  assert.is(await go(top), 'fresh: 0 inputs say so');
  await write('src/a.ts', 'two');
  assert.is(await go(generate), 'src/a.ts changed');
  assert.is(await go(top), 'generate, which it needs, changed');
  assert.match(await go(top), /^fresh/);
});

test('a status command decides alone and remembers nothing; with inputs both must say so', async () => {
  status = 'not there';
  const alone = plain('build', { status: 's' });
  assert.is(await go(alone), 'not there');
  assert.equal(await readdir(folder), ['src']);
  const both = define({ status: async () => 's' });
  await go(both);
  assert.is(await go(both), 'not there');
  status = undefined;
  assert.is(await go(alone), 'fresh: its status command says so');
  assert.is(await go(both), 'fresh: 1 input and its status command say so');
  await write('src/a.ts', 'two');
  assert.is(await go(both), 'src/a.ts changed');
});

test('another environment is another thing to remember; --force runs all, and what it made counts', async () => {
  for (const [settings, reason] of [
    [{ options: [['env', 'a']] }, forgotten],
    [{ options: [['env', 'a']] }, 'fresh: 1 input says so'],
    [{ options: [['env', 'b']] }, forgotten],
    [{ force: true }, '--force asks for it'],
    [{ force: true }, '--force asks for it'],
    [{}, 'fresh: 1 input says so'],
  ] as const)
    assert.is(await go(define(), opened(settings)), reason);
});

test('what is under way or was started by two runs is not remembered', async () => {
  const [node] = (await graphOf(define())).nodes;
  assert.ok(node);
  const [one, two] = [opened(), opened()];
  await go(define());
  await one.look(node);
  await one.started(node);
  assert.is((await two.look(node)).reason, forgotten);
  await two.started(node);
  for (const each of [one, two]) {
    await each.succeeded(node);
    assert.is((await one.look(node)).reason, forgotten);
  }
});

test('links count by their target and its contents, a folder behind one by all that is in it', async () => {
  await mkdir(join(folder, 'other'));
  await write('other/deep.ts', '1');
  await symlink('../other', join(folder, 'src/link'));
  await symlink('../other/deep.ts', join(folder, 'src/file.ts'));
  await symlink('nowhere', join(folder, 'src/broken.ts'));
  await go(define());
  assert.is(await go(define()), 'fresh: 5 inputs say so');
  await write('other/deep.ts', '2');
  assert.is(await go(define()), 'src/file.ts changed and 1 more change');
  await write('other/new.ts', '1');
  assert.is(await go(define()), 'src/link/new.ts is new');
  await rm(join(folder, 'src/link'));
  await mkdir(join(folder, 'src/link'));
  assert.is(await go(define()), 'src/link is gone and 2 more changes');
  await rm(join(folder, 'src/broken.ts'));
  await symlink('elsewhere', join(folder, 'src/broken.ts'));
  assert.is(await go(define()), 'src/broken.ts changed');
});

test('what cannot be read makes the task run each time', async () => {
  // A circle of links leads nowhere, which can be told; the memory of a process is a file that not even root can read
  // at 0.
  await symlink('loop', join(folder, 'src/loop'));
  await symlink('/proc/self/mem', join(folder, 'src/memory'));
  assert.match(await go(define()), /^src\/memory cannot be read \(\w+\)$/);
  assert.match(await go(define()), /^src\/memory cannot be read/);
});

test('a glob that matches nothing is an error with its place', async () => {
  for (const inputs of [['src/**', 'scr/*.ts'], ['src/*.ts', '!src/a.ts'], ['none']]) {
    const { what } = await refusalOf(go(define({ inputs }), opened({ force: true })));
    assert.match(what, /^input `(scr\/\*\.ts|src\/\*\.ts|none)` of task `build` matches no file$/);
  }
});

test('a memory that cannot be written changes nothing but that all runs', async () => {
  await write('.tasks', 'a file is in the way');
  assert.is(await go(define()), forgotten);
  assert.is(await go(define()), forgotten);
  await rm(memory());
  await go(define());
  assert.equal((await readdir(memory())).sort(), ['.gitignore', 'fingerprints']);
  await rm(memory(), { recursive: true });
  await mkdir(memory());
  await go(define());
  assert.equal(await readdir(memory()), ['fingerprints'], 'a folder of somebody else is left alone');
});

test('a damaged file counts as nothing remembered', async () => {
  await go(define());
  const [name = ''] = await readdir(join(memory(), 'fingerprints'));
  const file = join(memory(), 'fingerprints', name);
  const good = await readFile(file, 'utf8');
  const other = good.replace('{"its', '{"x":1,"its');
  for (const text of ['', good.slice(0, -9), 'null', '[]', '{"parts":1}', other]) {
    await writeFile(file, text);
    assert.is(await go(define()), forgotten, text);
  }
});

test.run();
