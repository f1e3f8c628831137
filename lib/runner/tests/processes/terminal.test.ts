import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LaunchFolder } from '../../../../tests/rig/launch.ts';
import type { Launched } from '../../../../tests/rig/launched.ts';
import { driven, type Invocation, rig, useRig } from '../rig/rig.ts';
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
    const launched = project.inTerminal(`node ${rig.program} top --failure kill`, tasks, []);
    started.push(launched);
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
