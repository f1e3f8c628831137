import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LaunchFolder } from '../../../../tests/rig/launch.ts';
import type { Launched } from '../../../../tests/rig/launched.ts';
import { driven, type RigTask, rig, useRig } from '../rig/rig.ts';
import { Screen } from '../rig/screen.ts';

useRig(test);
let project: LaunchFolder;
const started: Launched[] = [];
test.before(async () => {
  project = await LaunchFolder.make();
});
test.after(() => project.remove());
test.after.each(() => {
  for (const launched of started.splice(0)) launched.end();
});

const tasks = (): RigTask[] => [driven('a'), driven('b'), { name: 'top', needs: ['a', 'b'] }];

/** Starts these tasks, and returns the commands of a and b. */
async function open(declared: readonly RigTask[], ...words: readonly string[]) {
  const launched = project.inTerminal(`node ${rig.program} top`, declared, words);
  started.push(launched);
  const [a, b] = await Promise.all([rig.next('a'), rig.next('b')]);
  return { launched, a, b };
}

/** What the terminal shows in the end; fails for anything that would act on it otherwise. */
function screenOf({ shown }: Launched): Screen {
  const screen = new Screen(80);
  screen.write(shown.replaceAll('^C', ''));
  return screen;
}

type Opened = Awaited<ReturnType<typeof open>>;

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
    const declared = tasks().map(
      (task) => (task.name === 'b' ? { ...task, behaviour: 'stray' } : task) as RigTask,
    );
    const opened = await open(declared, '--failure', 'kill');
    const { launched } = opened;
    await launched.shows('2 running');
    await stop(opened);
    assert.is(await launched.exit, code);
    const { cursor, lines } = screenOf(launched);
    assert.equal([cursor.column, lines[cursor.row]], [0, '']);
    const text = lines.join('\n');
    if (code === 1) assert.match(text, 'Internal error: a stray bug');
    if (code === 9) assert.match(text, /✗ a \S+ `sh .*\n(.*\n)* {2}task: top → a \(.*\n(.*\n)*failed after /);
    if (code === 137) return;
    assert.not.match(text, /\d running/);
    assert.equal(launched.processes(), []);
  });

const looks: readonly [string, NodeJS.ProcessEnv, { readonly colour: boolean; readonly live: boolean }][] = [
  ['a terminal', {}, { colour: true, live: true }],
  ['NO_COLOR', { NO_COLOR: '1' }, { colour: false, live: true }],
  ['NO_COLOR without a value', { NO_COLOR: '' }, { colour: true, live: true }],
  ['FORCE_COLOR=0', { FORCE_COLOR: '0' }, { colour: false, live: true }],
  ['TERM=dumb', { TERM: 'dumb' }, { colour: false, live: false }],
  ['TERM=dumb and FORCE_COLOR', { TERM: 'dumb', FORCE_COLOR: '1' }, { colour: true, live: false }],
  ['CI', { CI: 'true' }, { colour: true, live: false }],
  ['a locale without UTF-8', { LC_ALL: 'C' }, { colour: true, live: true }],
];

test('colours, redrawing and symbols by the environment', async () => {
  await Promise.all(
    looks.map(async ([name, env, { colour, live }]) => {
      const tasks: RigTask[] = [
        { name: 'a', commands: ['true'] },
        { name: 'b', commands: ['true'], needs: ['a'] },
      ];
      const { TERM = 'xterm', ...rest } = env;
      const launched = project.inTerminal(`env TERM=${TERM} node ${rig.program}`, tasks, ['b'], rest);
      started.push(launched);
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

test.run();
