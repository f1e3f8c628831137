import { readFileSync } from 'node:fs';
import { setTimeout as poll } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LaunchFolder } from '../../../../tests/rig/launch.ts';
import type { Launched } from '../../../../tests/rig/launched.ts';
import { driven, type Invocation, type RigTask, rig, useRig, within } from '../rig/rig.ts';
import { Screen } from '../rig/screen.ts';

/* Ctrl-Z on a real terminal, in a shell with job control. */

useRig(test);
let project: LaunchFolder;
let launched: Launched | undefined;
test.before(async () => {
  project = await LaunchFolder.make();
});
test.after(() => project.remove());
test.after.each(() => launched?.end());

/** Starts a run in a shell that says `stopped` when it has its terminal back, and at the next line does `next`. */
function open(tasks: readonly RigTask[], line?: string, next = 'fg; echo back $?'): Launched {
  const shell = `set -m; ${line ?? `node ${rig.program} top`}; echo stopped $?; read -r; ${next}`;
  launched = project.inTerminal(`bash -c '${shell}'`, tasks, []);
  return launched;
}

/**
 * Resolves when the process is stopped. Behind npx, which stops by itself, that takes a moment longer than for the
 * shell.
 */
async function stops({ name, pid }: Invocation): Promise<void> {
  const stopped = async (): Promise<void> => {
    while (!/ T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) await poll(20);
  };
  await within(stopped(), `the stop of ${name}`);
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
    assert.equal(await rig.survivors(), []);
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
  await (await rig.next('cleanup')).exit();
  await run.shows('back 143');
  assert.equal(await rig.survivors(), []);
});

test('a command that something else has stopped is ended by a signal to the run all the same', async () => {
  const run = rig.run([driven('a')]);
  const a = await rig.next('a');
  process.kill(a.pid, 'SIGSTOP');
  run.kill('SIGINT');
  await a.ended;
  assert.is(await run.exit, 130);
});

test('without a shell that could let it go on, Ctrl-Z does nothing', async () => {
  launched = project.inTerminal(`node ${rig.program} a`, [driven('a')], []);
  const a = await rig.next('a');
  await a.trap('SIGCONT');
  launched.type('\x1A');
  await a.signalled('SIGCONT');
  await a.exit();
  assert.is(await launched.exit, 0);
});

test.run();
