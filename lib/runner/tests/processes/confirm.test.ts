import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PseudoTerminal } from '../rig/pseudo-terminal.ts';
import { folder, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

const destroy: RigTask = { name: 'destroy', confirm: 'Remove all?', commands: ['echo gone'] };
const tasks: RigTask[] = [
  destroy,
  { name: 'wipe', confirm: 'Remove all?', commands: ['echo wiped'] },
  { name: 'reset', confirm: 'Sure?', needs: ['destroy', 'wipe'], commands: ['echo reset'] },
];
/** Needs a word. */
const dear: RigTask[] = [{ ...destroy, name: 'reset', confirm: { question: 'All?', word: 'production' } }];

/** Answers each question on a terminal, and returns all that was shown and the exit code. */
async function onTerminal(declared: readonly RigTask[], ...answers: readonly string[]) {
  const command = `${process.execPath} ${rig.program} reset --output plain`;
  const env = { NO_COLOR: '1', RIG_MEMORY: rig.memory, RIG_TASKS: JSON.stringify(declared) };
  const terminal = new PseudoTerminal(command, { cwd: folder, env });
  for (const answer of answers) {
    await terminal.shows(/\[y\/N\]|to confirm:/);
    terminal.type(answer);
  }
  return { code: await terminal.exit, shown: terminal.text };
}

test('without a terminal a task asks as well that is only needed, and only the right option answers', async () => {
  const needed = [destroy, { name: 'reset', needs: ['destroy'], commands: ['true'] }];
  const wanted = '`--confirm production` answers it, `--yes` does not';
  for (const [declared, words, code, said] of [
    [needed, '', 2, 'task `destroy` asks first: Remove all?'],
    [needed, '--yes', 0, 'gone'],
    [dear, '--yes', 2, wanted],
    [dear, '--confirm development', 2, wanted],
    [dear, '--yes --confirm y', 2, wanted],
    [dear, '--confirm production', 0, 'gone'],
  ] as const) {
    const run = rig.run(declared, ['reset', ...words.split(' ').filter(Boolean)]);
    assert.is(await run.exit, code, run.stderr);
    assert.match(run.stderr, said);
    assert.is(run.stderr.includes('gone'), code === 0);
  }
});

test('on a terminal each question is asked once, before anything runs, and any answer but yes ends the run', async () => {
  const good = await onTerminal(tasks, 'y\n', 'yes\n');
  assert.is(good.code, 0, good.shown);
  assert.is(good.shown.split('[y/N]').length, 3);
  assert.match(good.shown, /Remove all\?.*Sure\?.*gone.*reset/s);
  for (const [declared, answers, said] of [
    [tasks, ['y\n', '\n'], 'not confirmed, nothing was done'],
    [tasks, ['\x04'], /\[y\/N\] \r\nerror: not confirmed/],
    [dear, ['y\n'], 'not confirmed'],
  ] as const) {
    const bad = await onTerminal(declared, ...answers);
    assert.is(bad.code, 1);
    assert.match(bad.shown, said);
    assert.not.match(bad.shown, 'gone');
  }
  assert.is((await onTerminal(dear, 'production\n')).code, 0);
});

test.run();
