import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Launched, launchFolder } from '../../../../tests/rig/launch.ts';
import { poll } from '../../pause.ts';
import { driven, type Invocation, type RigTask, rig, useRig } from '../rig/rig.ts';
import { Screen } from '../rig/screen.ts';

useRig(test);
const project = await launchFolder(test);

type Opened = { readonly launched: Launched; readonly a: Invocation; readonly b: Invocation };

/** The cursor was never hidden, nor left a line. */
function killRun({ launched }: Opened): void {
  const isRun = (pid: number): boolean => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('node\0');
  process.kill(launched.processes().find(isRun) ?? 0, 'SIGKILL');
}

for (const [name, stop, code] of [
  ['Ctrl-C', ({ launched }: Opened) => launched.type('\x03'), 130],
  ['a failing task', ({ a }: Opened) => a.exit(9), 9],
  ['an error outside of any task', ({ b }: Opened) => b.exit(), 1],
  ['SIGKILL', killRun, 137],
] as const)
  test(`after ${name} the cursor is at the start of an empty line, and nothing runs`, async () => {
    const tasks = [driven('a'), driven('b', { behaviour: 'stray' }), { name: 'top', needs: ['a', 'b'] }];
    const launched = project.inTerminal(`node ${rig.program} top --failure kill`, tasks);
    const [a, b] = await Promise.all([rig.next('a'), rig.next('b')]);
    await launched.shows('2 running');
    await stop({ launched, a, b });
    assert.is(await launched.exit, code);
    // Fails for anything that would act on it otherwise.
    const screen = new Screen(80);
    screen.write(launched.shown.replaceAll('^C', ''));
    const { cursor, lines } = screen;
    assert.equal([cursor.column, lines[cursor.row]], [0, '']);
    const text = lines.join('\n');
    if (code === 1) assert.match(text, 'Internal error: a stray bug');
    if (code === 9) assert.match(text, /✗ a \S+ `sh .*\n(.*\n)* {2}task: top → a \(.*\n(.*\n)*failed after /);
    while (code === 137 && (await rig.survivors()).length > 0) await Promise.all([a.exit(), b.exit()]);
    if (code === 137) return;
    assert.not.match(text, /\d running/);
    assert.equal(launched.processes(), []);
  });

const looks: readonly (readonly [name: string, env: NodeJS.ProcessEnv, colour: boolean, live: boolean])[] = [
  ['a terminal', {}, true, true],
  ['NO_COLOR', { NO_COLOR: '1' }, false, true],
  ['NO_COLOR without a value', { NO_COLOR: '' }, true, true],
  ['FORCE_COLOR=0', { FORCE_COLOR: '0' }, false, true],
  ['TERM=dumb', { TERM: 'dumb' }, false, false],
  ['TERM=dumb and FORCE_COLOR', { TERM: 'dumb', FORCE_COLOR: '1' }, true, false],
  ['CI', { CI: 'true' }, true, false],
  ['a locale without UTF-8', { LC_ALL: 'C' }, true, true],
];

test('colours, redrawing and symbols by the environment', async () => {
  const a = { name: 'a', commands: ['true'] };
  const tasks = [a, { ...a, name: 'b', needs: ['a'] }];
  await Promise.all(
    looks.map(async ([name, env, colour, live]) => {
      const { TERM = 'xterm', ...rest } = env;
      const launched = project.inTerminal(`env TERM=${TERM} node ${rig.program} b`, tasks, rest);
      assert.is(await launched.exit, 0, name);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
      assert.is(/\u001B\[\d+m/.test(launched.shown), colour, name);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: whatever is beyond ASCII
      assert.is(/^[\u0000-\u007F]*$/.test(launched.shown), env.LC_ALL === 'C', name);
      // The heading of a block.
      assert.is(/→ a/.test(launched.shown), !live, `${name}: ${launched.shown}`);
    }),
  );
});

/* Ctrl-Z, in a shell with job control. */

/** Starts a run in a shell that says `stopped` when it has its terminal back, and at the next line does `next`. */
function open(tasks: readonly RigTask[], line?: string, next = 'fg; echo back $?'): Launched {
  const shell = `set -m; ${line ?? `node ${rig.program} top`}; echo stopped $?; read -r; ${next}`;
  return project.inTerminal(`bash -c '${shell}'`, tasks);
}

/**
 * Resolves when the process is stopped. Behind npx, which stops by itself, that takes a moment longer than for the
 * shell.
 */
async function stops({ name, pid }: Invocation): Promise<void> {
  const isStopped = async () => / T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  assert.ok(await poll(isStopped, 30_000), `${name} has not stopped`);
}

for (const line of ['./run top', 'npx tsx tasks.ts top']) {
  test(`Ctrl-Z stops all commands and the run, fg lets them go on, as often as wanted: ${line}`, async () => {
    const tasks = [driven('a'), driven('b'), { name: 'top', needs: ['a', 'b'] }];
    const run = open(tasks, line, 'fg; echo again $?; read -r; fg; echo back $?');
    const [a, b] = await Promise.all([rig.next('a'), rig.next('b')]);
    a.spawn('grandchild');
    const grandchild = await rig.next('grandchild');
    await run.shows('2 running');
    for (const shown of ['stopped 148', 'again 148']) {
      run.type('\x1A');
      await run.shows(shown);
      for (const invocation of [a, b, grandchild]) await stops(invocation);
      if (!line.startsWith('npx')) {
        const screen = new Screen(80, 24);
        screen.write(run.shown.replaceAll('^Z', ''));
        assert.not.match(screen.lines.join('\n'), 'running');
      }
      run.type('\n');
      for (const invocation of [a, b, grandchild]) await invocation.environment('HOME');
    }
    await a.exit();
    await b.exit();
    await run.shows('back 0');
  });
}

for (const [name, task, interactive] of [
  ['what has the terminal stops with the run', 'top', true],
  ['a run inside a task stops its own commands', 'outer', false],
] as const)
  test(name, async () => {
    const tasks = [driven('top', { interactive }), { name: 'outer', commands: [`node ${rig.program} top`] }];
    const run = open(tasks, `node ${rig.program} ${task}`);
    const top = await rig.next('top');
    run.type('\x1A');
    await run.shows('stopped 148');
    await stops(top);
    run.type('\n');
    await top.environment('HOME');
    await top.exit();
    await run.shows('back 0');
  });

test('a run that is stopped can be ended, with its commands and cleanups', async () => {
  const tasks = [{ name: 'top', commands: [rig.command('a')], cleanup: rig.command('cleanup') }];
  const run = open(tasks, undefined, 'kill %1; wait -f %1; echo back $?');
  const a = await rig.next('a');
  run.type('\x1A');
  await run.shows('stopped 148');
  run.type('\n');
  await a.ended;
  await rig.pass('cleanup');
  await run.shows('back 143');
});

test('a command that something else has stopped is ended by a signal to the run all the same', async () => {
  const run = rig.run([driven('a')]);
  const a = await rig.next('a');
  process.kill(a.pid, 'SIGSTOP');
  run.kill('SIGINT');
  await a.ended;
  await run.ends(130);
});

test('without a shell that could let it go on, Ctrl-Z does nothing', async () => {
  const launched = project.inTerminal(`node ${rig.program} a`, [driven('a')]);
  const a = await rig.next('a');
  await a.trap('SIGCONT');
  launched.type('\x1A');
  await a.signalled('SIGCONT');
  await a.exit();
  assert.is(await launched.exit, 0);
});

test.run();
