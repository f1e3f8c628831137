import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildGraph } from '../../graph.ts';
import type { Graph } from '../../node.ts';
import { type AnyTask, type ArgumentValues, need } from '../../task.ts';
import { checkDefinitions } from '../../task-names.ts';
import { graphOf as build, flag, number, plain, text, word } from '../rig/graphs.ts';
import { refusalOf } from '../rig/refusal.ts';

/** Each node with what it comes after. */
const orderIn = ({ nodes }: Graph): string[] =>
  nodes.map(({ label, needs }) =>
    `${label}: ${Array.from(needs, (needed) => needed.label).join(', ')}`.trim(),
  );

async function labels(requested: AnyTask, args: ArgumentValues = {}): Promise<string[]> {
  return (await build(requested, args)).nodes.map((node) => node.label);
}

const deploy = plain('deploy', { args: { app: word, force: flag, tier: { ...text, default: 'core' } } });
const wrong = { task: deploy, args: { aap: 'x' } };

test('the same arguments are one node, however they are written; others are another one', async () => {
  const same = [{ app: 'x' }, { tier: 'core', app: 'x' }, { app: 'x', force: false }];
  const needs = [...same, { app: 'y', force: true, tier: 'apps' }].map((args) => need(deploy, args));
  assert.equal(await labels(plain('top', { needs })), ['deploy x', 'deploy y --force --tier=apps', 'top']);
});

test('steps come one after another, each with what only it needs; the label is the task that has them', async () => {
  const a = plain('a');
  const b = plain('b', { needs: [a] });
  const c = plain('c', { needs: [a], after: [b] });
  const top = plain('top', {
    args: { app: { ...text, default: 'x' } },
    steps: ({ args }) => [c, need(deploy, { app: args.app }), b],
  });
  const graph = await build(top);
  assert.is(graph.label, 'top');
  const order = ['a:', 'c: a', 'deploy x: c', 'b: a, c, deploy x', 'top: c, deploy x, b'];
  assert.equal(orderIn(graph), order);
});

test('a label is what a user would type', async () => {
  const check = { ...flag, default: true };
  const args = { really: word, dryRun: { ...text, optional: true }, check, keepAll: flag } as const;
  const build = plain('build', { args });
  const more = { really: 'false', check: false, keepAll: true, dryRun: 'x' };
  const top = plain('top', { needs: [need(build, { really: 'true' }), need(build, more)] });
  assert.equal(await labels(top), ['build true', 'build false --dry-run=x --no-check --keep-all', 'top']);
});

test('names are those of one task each, wherever it stands in the graph, also of the listed ones; `after` looks at those of the run only', async () => {
  const lint = plain('lint', { aliases: ['check'] });
  const top = (more: Parameters<typeof plain>[1], needs: AnyTask[] = []) => {
    const requested = plain('top', { needs: [plain('publish', more), ...needs] });
    const listed = checkDefinitions([lint, requested], {});
    return buildGraph([{ task: requested, args: {}, passThrough: [] }], {}, 'run', listed);
  };
  const other = plain('lint');
  const [shared, twin] = [plain('twin'), plain('twin')];
  for (const twice of [
    top({ needs: [other] }),
    top({ needs: [plain('check')] }),
    top({ after: [other] }, [lint]),
    build(plain('top', { needs: [shared], finally: [plain('between', { needs: () => [twin] })] })),
    build(plain('top', { needs: [need(deploy, { app: 'x' }), need({ ...deploy }, { app: 'y' })] })),
    build(plain('top', { needs: [plain('top')] })),
  ]) {
    const error = await refusalOf(twice);
    assert.match(error.what, /^two tasks are called `(?:twin|deploy|top|lint|check)`$/);
    assert.match(error.why, /^`\S+` at \S*graph\.test\.ts:\d+ and `\S+` at \S*graph\.test\.ts:\d+$/);
  }
  assert.is((await top({ after: [other] })).nodes.length, 2);
  assert.is((await top({ after: [lint] }, [lint])).nodes.length, 3);
  assert.equal(await labels(plain('top', { needs: [shared, shared] })), ['twin', 'top']);
});

const later = undefined as unknown as AnyTask;
const holds = (field: string, shown = 'undefined'): string =>
  `\`${field}\` of task \`top\` holds something that is no task: \`${shown}\``;
const none = plain('none');

for (const [definition, what, why = ''] of [
  [{ needs: ['build' as unknown as AnyTask] }, holds('needs', 'build')],
  [{ needs: () => [later] }, holds('needs')],
  [{ needs: [{ task: later }] }, holds('needs')],
  [{ finally: [later] }, holds('finally')],
  [{ after: [later] }, holds('after')],
  [{ steps: [later] }, holds('steps')],
  [{ needs: [plain('steps', { steps: [none] })] }, 'task `steps` has `steps` and cannot be needed by `top`'],
  [{ needs: [wrong] }, 'task `top` gives wrong arguments to `deploy`', 'unknown argument `aap`'],
  [{ finally: [wrong] }, 'task `top` gives wrong arguments to `deploy`', 'unknown argument `aap`'],
  // Even if it takes none and is already part of the run.
  [{ needs: [none, { ...wrong, task: none }] }, 'task `top` gives wrong arguments to `none`'],
] as const)
  test(`refused with the place of the declaration: ${what} ${why}`, async () => {
    const error = await refusalOf(build(plain('top', { ...definition })));
    assert.is(error.what, what);
    assert.match(error.why ?? '', why);
    assert.match(error.advice, /graph\.test\.ts:\d+/);
  });

test('needs may depend on arguments; words after -- go to the requested task alone', async () => {
  const args = { app: word };
  const wrapper = plain('wrapper', { args, needs: ({ args }) => [need(deploy, { app: args.app })] });
  const graph = await build(wrapper, { app: 'z' }, ['--debug']);
  const nodes = graph.nodes.map(({ label, input }) => [label, ...input.passThrough].join(' '));
  assert.equal(nodes, ['deploy z', 'wrapper z --debug']);
  assert.is(graph.label, 'wrapper z');
});

test('refuses what never ends, with the way, and a finaliser that is needed in the usual way', async () => {
  const a: AnyTask = plain('a', { needs: () => [b] });
  const b: AnyTask = plain('b', { needs: () => [c] });
  const c: AnyTask = plain('c', { needs: () => [a] });
  const self: AnyTask = plain('self', { needs: () => [self] });
  const endless: AnyTask = plain('endless', {
    args: { depth: { ...number, default: 0 } },
    needs: ({ args }) => [{ task: endless, args: { depth: args.depth + 1 } }],
  });
  const undo: AnyTask = plain('undo', { finally: () => [other] });
  const other = plain('other', { finally: [undo] });
  const remove = plain('remove');
  const made = plain('made', { finally: [remove] });
  for (const [refused, message] of [
    [self, 'circle: self ('],
    [plain('top', { needs: [a] }), /circle: a \(.*graph\.test\.ts:\d+\) -> b \(.* -> c \(.*\) -> a \(.*\)$/],
    [endless, 'without end: endless -> endless --depth=1 -> '],
    [plain('top', { finally: [undo] }), 'circle'],
    [plain('top', { needs: [made, remove] }), '`remove` is needed too early to be a finaliser of `made`'],
  ] as const)
    assert.match((await refusalOf(build(refused))).message, message);
});

async function orderOf(...requested: readonly AnyTask[]): Promise<string[]> {
  const calls = requested.map((task) => ({ task, args: {}, passThrough: [] }));
  return orderIn(await buildGraph(calls, {}, 'run'));
}

test('several tasks are one graph: what they share is there once, and what only a later one needs comes after the earlier ones', async () => {
  const shared = plain('shared');
  const own = plain('own', { needs: [shared] });
  const more = plain('more', { needs: [own] });
  const first = plain('first', { needs: [shared] });
  const second = plain('second', { needs: [shared, more] });
  const third = plain('third');
  const both = ['shared:', 'first: shared', 'own: shared, first', 'more: own', 'second: shared, more'];
  assert.equal(await orderOf(first, second, third), [...both, 'third: first, second']);
  // Done already as a need of the first one; it holds nothing up, and the third one waits for both.
  assert.equal(await orderOf(first, shared, third), ['shared:', 'first: shared', 'third: first, shared']);
});

test('after orders what is part of the run, pulls nothing in, and is weaker than the command line', async () => {
  const create = plain('create');
  const check = plain('check', { after: () => [create, plain('absent')] });
  const both = plain('both', { needs: [check, create] });
  assert.equal(await orderOf(check), ['check:']);
  assert.equal(await orderOf(check, create), ['check:', 'create: check']);
  assert.equal(await orderOf(create, check), ['create:', 'check: create']);
  assert.equal(await orderOf(both), ['create:', 'check: create', 'both: check, create']);
});

test('refuses a requested task that would not run as written', async () => {
  const part = plain('part', { passThrough: true });
  const whole = plain('whole', { needs: [part] });
  const serve = plain('serve', { ready: { log: 'up' } });
  const call = (requested: AnyTask, ...passThrough: string[]) => ({ task: requested, args: {}, passThrough });
  for (const [calls, what] of [
    [[call(part), call(whole), call(part)], 'task `part` is named twice'],
    [[call(whole), call(part, 'x')], 'task `part` is done before it gets its words after `--`'],
    [[call(serve), call(whole)], /`serve` runs until a signal comes/],
    [[call(part), call(deploy)], 'missing argument `<app>` for task `deploy`'],
    [[call(part, 'x'), call(whole)], undefined],
    [[call(whole), call(serve)], undefined],
  ] as const) {
    const built = buildGraph(calls, {}, 'run');
    if (what === undefined) await built;
    else assert.match((await refusalOf(built)).what, what);
  }
});

test('finalisers come after all others, those of the latest tasks first, with what only they need', async () => {
  const tool = plain('tool');
  const undoA = plain('undo-a', { needs: [tool] });
  const undoB = plain('undo-b', { finally: [tool] });
  const a = plain('a', { finally: [undoA] });
  const b = plain('b', { needs: [a], finally: () => [undoB] });
  const { nodes, roots } = await build(b);
  const order = nodes.map(({ label, late }) => label + (late ? ' late' : ''));
  assert.equal(order, ['a', 'b', 'undo-b late', 'tool late', 'undo-a late']);
  assert.is(roots[0]?.label, 'b');
  const shared = plain('shared');
  const base = plain('base', { finally: [shared] });
  const top = plain('top', { needs: [base], finally: [shared, plain('own')] });
  assert.equal(await labels(top), ['base', 'top', 'own', 'shared']);
  const after = plain('after', { after: [shared], finally: [shared] });
  assert.equal(await labels(after), ['after', 'shared'], 'nothing waits for a finaliser');
});

test('a long-running process is kept by those who need it, also behind a task without commands', async () => {
  const server = plain('server', { commands: () => ['serve'], ready: { log: 'up' } });
  const group = plain('group', { needs: [server] });
  const user = plain('user', { needs: [group], run: () => {} });
  const keepers = async (requested: AnyTask): Promise<unknown[]> => {
    const { longRunning } = (await build(requested)).nodes[0] ?? {};
    return [...Array.from(longRunning?.keptBy ?? [], ({ label }) => label), longRunning?.requested];
  };
  assert.equal(await keepers(plain('top', { needs: [user], run: () => {} })), ['group', 'user', false]);
  assert.equal(await keepers(group), ['group', true]);
  assert.equal(await keepers(server), [true]);
});

test('a long-running process that cannot be one is reported before anything runs', async () => {
  const server = plain('server', { ready: { log: 'up' } });
  const undo = plain('undo', { needs: [plain('between', { needs: [server] })] });
  for (const [refused, what] of [
    [plain('talks', { ready: { log: 'up' }, interactive: true }), 'process cannot have the terminal'],
    [plain('top', { finally: [undo] }), 'it ends before the finaliser that needs it'],
  ] as const)
    assert.match((await refusalOf(build(refused))).what, what);
});

test('a chain of 51,000 needs is no problem, nor are 51,000 needs of one task', async () => {
  let last = plain('task-0');
  for (let index = 1; index < 51_000; index += 1) last = plain(`task-${index}`, { needs: [last] });
  const copies = Array.from({ length: 51_000 }, (_, index) => need(deploy, { app: `${index}` }));
  assert.is((await build(last)).nodes.length, 51_000);
  assert.is((await build(plain('top', { needs: copies }))).nodes.length, 51_001);
});

test.run();
