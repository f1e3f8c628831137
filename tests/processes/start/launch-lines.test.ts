import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type RigTask, rig, useRig } from '../../../lib/runner/tests/rig/rig.ts';
import { type Launched, launchFolder } from '../../rig/launch.ts';

const project = await launchFolder(test);
useRig(test);

const launchLines = ['npx tsx tasks.ts', 'tsx tasks.ts', 'node --import tsx tasks.ts', './run'] as const;

/** Ways to ask a launch line to stop, and what it must exit with. */
const stoppings = [
  {
    name: 'Ctrl-C in a terminal',
    code: 130,
    lines: launchLines,
    start: project.inTerminal,
    stop: (launched: Launched) => launched.type('\x03'),
  },
  {
    name: 'SIGTERM to the one pid',
    code: 143,
    // About npx see the last test.
    lines: launchLines.filter((line) => !line.startsWith('npx')),
    start: project.start,
    stop: (launched: Launched) => void launched.child.kill('SIGTERM'),
  },
];

/** Commands are called `<task>-<number of the line>`. */
function tasksOf(index: number): RigTask[] {
  const task = (name: string, needs: string[]): RigTask => ({
    ...{ name, needs, commands: [rig.command(`${name}-${index}`)] },
    cleanup: rig.command(`cleanup-${name}-${index}`),
  });
  return [task('a', []), task('b', ['a'])];
}

/**
 * Drives each line to its end, one after the other, as four at once may be too busy: tsx kills a script that has not
 * answered a signal after 60 ms. A line that was `killed` so is started again.
 */
async function eachLine(
  { lines, start, code }: (typeof stoppings)[number],
  env: NodeJS.ProcessEnv,
  drive: (launched: Launched, index: number) => Promise<void>,
  killed: (launched: Launched) => boolean = () => false,
): Promise<void> {
  for (const [index, line] of lines.entries()) {
    let launched: Launched;
    let exit: Awaited<Launched['exit']>;
    let left = 5;
    do {
      launched = start(`${line} b`, tasksOf(index), env);
      await drive(launched, index);
      exit = await launched.exit;
      if (killed(launched)) launched.end();
    } while (killed(launched) && left-- > 0);
    assert.is(exit === 'SIGTERM' ? 143 : exit === 'SIGINT' ? 130 : exit, code, `${line}: ${launched.shown}`);
    assert.equal(launched.processes(), [], line);
  }
  assert.equal(await rig.survivors(), []);
}

/** Lets a cleanup end well when it comes, and counts it. */
function answerCleanups(names: readonly string[], ran: string[]): void {
  for (const name of names)
    void rig.next(name).then(
      async (invocation) => {
        ran.push(`${name} ${invocation.words.join(' ')}`);
        await invocation.exit();
      },
      () => {},
    );
}

for (const stopping of stoppings) {
  const { name, stop } = stopping;

  test(`${name} while the program loads`, async () => {
    await eachLine(stopping, {}, async (launched, index) => {
      // On a busy machine the program may have loaded when the signal arrives: then a task has started, and cleans up.
      answerCleanups([`cleanup-a-${index}`], []);
      await launched.shows('loading');
      stop(launched);
    });
    for (const index of stopping.lines.keys()) assert.not(rig.hasStarted(`b-${index}`));
  });

  test(`${name} in the first task: its cleanup runs, nothing else does`, async () => {
    const ran: string[] = [];
    const drive = async (launched: Launched, index: number): Promise<void> => {
      answerCleanups([`cleanup-a-${index}`], ran);
      const a = await rig.next(`a-${index}`);
      a.spawn(`grandchild-${index}`);
      const grandchild = await rig.next(`grandchild-${index}`);
      // The first line has tsx's own process around the run, which has to wait while children ignore all but SIGKILL.
      for (const invocation of index === 0 ? [a, grandchild] : [])
        for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) await invocation.trap(signal);
      stop(launched);
    };
    // A run inside a run is in more of a hurry: the first grace time is 0.6 s instead of 10 s.
    const killed = ({ shown }: Launched): boolean => !shown.includes('interrupted');
    await eachLine(stopping, { TASK_RUNNER_LEVEL: '4' }, drive, killed);
    const expected = stopping.lines.map((_, index) => `cleanup-a-${index} interrupted`);
    assert.equal(ran.sort(), expected);
    for (const index of stopping.lines.keys()) assert.not(rig.hasStarted(`b-${index}`));
  });
}

test('SIGTERM to the pid of npx ends only npx: the run continues until it gets a signal itself', async () => {
  const ran: string[] = [];
  const launched = project.start('npx tsx tasks.ts b', tasksOf(0));
  answerCleanups(['cleanup-a-0', 'cleanup-b-0'], ran);
  const a = await rig.next('a-0');
  launched.child.kill('SIGTERM');
  assert.is(await launched.exit, 'SIGTERM');
  await a.exit();
  const b = await rig.next('b-0');
  const run = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${b.pid}/status`, 'utf8'))?.[1]);
  process.kill(run, 'SIGTERM');
  await b.ended;
  await launched.shows('interrupted after');
  assert.equal(ran, ['cleanup-b-0 interrupted', 'cleanup-a-0 interrupted']);
});

test.run();
