import { chmod, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { carriedOver, type Effect } from '../../../memory/fingerprint.ts';
import { Store } from '../../../memory/store.ts';
import { type StatusAnswer, Tracker } from '../../../memory/tracker.ts';
import type { TaskNode } from '../../../node.ts';
import { type AnyTask, type TaskDefinition, task } from '../../../task.ts';
import { graphOf } from '../../rig/graphs.ts';
import { refusalOf } from '../../rig/refusal.ts';

type Definition = Partial<TaskDefinition<Record<never, never>>>;
type Report = 'changed' | 'unchanged' | undefined;

let folder: string;
let status: StatusAnswer;
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tracker-'));
  status = { good: true };
  await mkdir(join(folder, 'src'));
  await write('src/a.ts', 'one');
});
test.after.each(() => rm(folder, { recursive: true, force: true }));

const write = (path: string, text: string): Promise<void> => writeFile(join(folder, path), text);

const define = (more: Definition = {}): AnyTask =>
  task({ name: 'build', description: 'd', inputs: ['src/**'], commands: () => ['c'], ...more });

async function nodeOf(definition: AnyTask): Promise<TaskNode> {
  return (await graphOf(definition)).roots[0] as TaskNode;
}

const tracker = (more: { force?: boolean; options?: unknown } = {}): Tracker =>
  new Tracker({
    store: new Store(join(folder, '.tasks'), 'fingerprints'),
    options: {},
    base: folder,
    ignored: [join(folder, '.tasks')],
    force: false,
    askStatus: async () => status,
    ...more,
  });

type Trial = {
  readonly body?: () => unknown;
  readonly report?: Report;
  readonly effects?: readonly Effect[];
};

/** As a run does it: looks, and runs to a good end when that is needed. Returns the reason; of its needs these effects are known. */
async function go(
  definition: AnyTask,
  { body, report, effects = [] }: Trial = {},
  by = tracker(),
): Promise<string> {
  const node = await nodeOf(definition);
  const known = new Map([...node.needs].map((needed, place) => [needed, effects[place]]));
  const effectOf = (needed: TaskNode): Effect => known.get(needed);
  const look = await by.look(node, effectOf);
  if (!look.run) return `fresh: ${look.reason}`;
  await by.started(node, look);
  await body?.();
  await by.succeeded(node, look, report, effectOf);
  return look.reason;
}

test('a task runs, is up to date, and runs again for each thing that counts', async () => {
  const steps: [string, Definition, () => unknown][] = [
    ['no earlier success is remembered', {}, () => {}],
    ['src/a.ts changed', {}, () => write('src/a.ts', 'two')],
    ['src/b.ts is new', {}, () => write('src/b.ts', 'two')],
    [
      'src/a.ts is gone and 1 more change',
      {},
      () => rename(join(folder, 'src/a.ts'), join(folder, 'src/c.ts')),
    ],
    ['src/b.ts changed', {}, () => chmod(join(folder, 'src/b.ts'), 0o755)],
    ['its variable MODE changed', { env: { MODE: 'fast' } }, () => {}],
    ['its variable MODE changed', { env: () => ({ MODE: 'slow' }) }, () => {}],
    ['its variable MODE changed', {}, () => {}],
    ['its folder changed', { cwd: '.' }, () => {}],
    ['its code changed', { cwd: '.', run: () => {} }, () => {}],
    ['its list of inputs changed', { cwd: '.', run: () => {}, inputs: ['src/**', '!src/b.ts'] }, () => {}],
    ['its commands changed', { commands: () => ['other'] }, () => {}],
    ['its list of outputs changed', { commands: () => ['other'], outputs: ['src/b.ts'] }, () => {}],
  ];
  for (const [reason, more, change] of steps) {
    await change();
    assert.is(await go(define(more)), reason);
    assert.match(await go(define(more)), /^fresh: /, reason);
  }
});

test('another environment is another thing to remember', async () => {
  await go(define(), {}, tracker({ options: [['env', 'a']] }));
  assert.match(await go(define(), {}, tracker({ options: [['env', 'a']] })), /^fresh/);
  assert.is(await go(define(), {}, tracker({ options: [['env', 'b']] })), 'no earlier success is remembered');
});

test('outputs: missing, changed by others, and none of the inputs', async () => {
  const made = define({ inputs: ['**'], outputs: ['dist/**'] });
  const body = async (): Promise<void> => {
    await mkdir(join(folder, 'dist'), { recursive: true });
    await write('dist/all', 'made');
  };
  await go(made, { body });
  assert.is(await go(made), 'fresh: 1 input and 1 output say so');
  await write('dist/all', 'by hand');
  assert.is(await go(made, { body }), 'its output dist/all changed');
  await rm(join(folder, 'dist'), { recursive: true });
  assert.is(await go(made, { body }), 'its output dist/all is gone');
  await write('dist/more', 'of somebody else');
  assert.is(await go(made, { body }), 'fresh: 1 input and 1 output say so');
  const idle = define({ name: 'idle', outputs: ['nowhere/*'] });
  await go(idle);
  assert.is(await go(idle), 'its output `nowhere/*` matches no file');
});

test('with inputs and a status command both must say so', async () => {
  const both = define({ status: 's' });
  status = { good: false, reason: 'not there' };
  await go(both);
  assert.is(await go(both), 'not there');
  status = { good: true };
  assert.is(await go(both), 'fresh: 1 input and its status command say so');
  await write('src/a.ts', 'two');
  assert.is(await go(both), 'src/a.ts changed');
});

test('--force runs all, and what it made counts', async () => {
  await go(define());
  assert.is(await go(define(), {}, tracker({ force: true })), '--force asks for it');
  assert.match(await go(define()), /^fresh/);
});

test('what is under way, failed or was started by two runs is not remembered', async () => {
  const node = await nodeOf(define());
  const [one, two] = [tracker(), tracker()];
  const none = (): Effect => undefined;
  await go(define());
  const look = await one.look(node, none);
  await one.started(node, look);
  assert.is((await two.look(node, none)).reason, 'no earlier success is remembered');
  await two.started(node, look);
  await one.succeeded(node, look, undefined, none);
  assert.is((await one.look(node, none)).reason, 'no earlier success is remembered');
  await two.succeeded(node, look, undefined, none);
  assert.is((await one.look(node, none)).reason, 'no earlier success is remembered');
  await go(define());
  await one.failed(node);
  assert.is((await one.look(node, none)).reason, 'no earlier success is remembered');
});

test('what its needs did re-triggers, unless it is the same as last time', async () => {
  const needed = task({ name: 'gen', description: 'd', commands: () => [] });
  const other = task({ name: 'late', description: 'd', commands: () => [] });
  const top = define({ needs: [needed], after: [other], inputs: [] });
  await go(top, { effects: ['x'] });
  assert.is(await go(top, { effects: ['x'] }), 'fresh: 0 inputs say so');
  assert.match(await go(top, { effects: [carriedOver] }), /^fresh/);
  assert.is(await go(top, { effects: ['y'] }), 'gen, which it needs, changed something since');
  const silent = 'gen, which it needs, ran and does not say whether it changed anything';
  assert.is(await go(top, { effects: [undefined] }), silent);
  assert.is(await go(top, { effects: [undefined] }), silent);
  // A task that it only comes after has no say.
  const both = task({ name: 'all', description: 'd', commands: () => [], needs: [other, top] });
  const { nodes } = await graphOf(both);
  const node = nodes.find(({ label }) => label === 'build');
  assert.ok(node?.needs.size === 2);
  const look = await tracker().look(node, ({ label }) => (label === 'gen' ? carriedOver : undefined));
  assert.is(look.reason, '0 inputs say so');
});

test('the effect of a task: its outputs, else a generation that `unchanged` keeps', async () => {
  const effectAfter = async (definition: AnyTask, report: Report): Promise<Effect> => {
    const node = await nodeOf(definition);
    const by = tracker({ force: true });
    const look = await by.look(node, () => undefined);
    await by.started(node, look);
    return by.succeeded(node, look, report, () => undefined);
  };
  const plain = define();
  const first = await effectAfter(plain, undefined);
  assert.is(await effectAfter(plain, 'unchanged'), first);
  assert.is.not(await effectAfter(plain, 'changed'), first);
  const made = define({ name: 'made', inputs: [], outputs: ['src/a.ts'] });
  const same = await effectAfter(made, 'changed');
  assert.is(await effectAfter(made, undefined), same);
  await write('src/a.ts', 'two');
  assert.is.not(await effectAfter(made, 'unchanged'), same);
});

test('what a task without inputs reports is remembered for those that need it', async () => {
  const node = await nodeOf(task({ name: 'deploy', description: 'd', commands: () => [] }));
  assert.is(await tracker().reported(node, 'unchanged'), 'none');
  const changed = await tracker().reported(node, 'changed');
  assert.is(await tracker().reported(node, 'unchanged'), changed);
  assert.is.not(await tracker().reported(node, 'changed'), changed);
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

test('what the task makes is no input, also where a link among the inputs leads to it', async () => {
  await mkdir(join(folder, 'made'));
  await symlink('../made', join(folder, 'src/link'));
  await write('made/a.ts', '1');
  await go(define({ outputs: ['made/**'] }));
  await write('made/b.ts', '1');
  assert.match(await go(define({ outputs: ['made/**'] })), /^fresh/);
});

test('a name with a line break is one like others, and no line of its own', async () => {
  await write('src/a\nb.ts', '1');
  await go(define());
  await write('src/a\nb.ts', '2');
  assert.is(await go(define()), 'src/a\\nb.ts changed');
});

test('what cannot be read makes the task run each time', async () => {
  // A circle of links leads nowhere, which can be told; the memory of a process is a file that not even root can read at 0.
  await symlink('loop', join(folder, 'src/loop'));
  await symlink('/proc/self/mem', join(folder, 'src/memory'));
  assert.match(await go(define()), /^src\/memory cannot be read \(\w+\)$/);
  assert.match(await go(define()), /^src\/memory cannot be read/);
});

test('a glob that matches nothing is an error with its place', async () => {
  for (const inputs of [['src/**', 'scr/*.ts'], ['src/*.ts', '!src/a.ts'], ['none']]) {
    const { what } = await refusalOf(go(define({ inputs }), {}, tracker({ force: true })));
    assert.match(what, /^input `(scr\/\*\.ts|src\/\*\.ts|none)` of task `build` matches no file$/);
  }
});

test('a memory that cannot be written changes nothing but that all runs', async () => {
  await write('.tasks', 'a file is in the way');
  assert.is(await go(define()), 'no earlier success is remembered');
  assert.is(await go(define()), 'no earlier success is remembered');
  await rm(join(folder, '.tasks'));
  await go(define());
  assert.equal((await readdir(join(folder, '.tasks'))).sort(), ['.gitignore', 'fingerprints']);
});

test.run();
