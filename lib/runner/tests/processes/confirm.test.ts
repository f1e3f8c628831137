import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PseudoTerminal } from '../rig/pseudo-terminal.ts';
import { folder, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

const destroy: RigTask = { name: 'destroy', confirm: 'Remove all?', commands: ['echo gone'] };
const tasks: RigTask[] = [destroy, { name: 'reset', needs: ['destroy'], commands: ['echo reset'] }];

/** Answers each question on a terminal, and returns all that was shown and the exit code. */
async function onTerminal(declared: readonly RigTask[], answers: readonly string[]) {
  const command = `${process.execPath} ${rig.program} reset --output plain`;
  const env = { NO_COLOR: '1', RIG_MEMORY: rig.memory, RIG_TASKS: JSON.stringify(declared) };
  const terminal = new PseudoTerminal(command, { cwd: folder, env });
  for (const answer of answers) {
    await terminal.shows(/\[y\/N\]|to confirm:/);
    terminal.type(answer);
  }
  const code = await terminal.exit;
  return { shown: terminal.text, code, asked: terminal.text.split('[y/N]').length - 1 };
}

test('a task that is only needed asks as well', async () => {
  const refused = rig.run(tasks, ['reset']);
  assert.is(await refused.exit, 2);
  assert.match(refused.stderr, 'task `destroy` asks first: Remove all?');
  assert.not.match(refused.stderr, 'gone');
  const answered = rig.run(tasks, ['reset', '--yes']);
  assert.is(await answered.exit, 0);
});

test('on a terminal each question is asked once, before anything runs, and any answer but yes ends the run', async () => {
  const more: RigTask[] = [
    destroy,
    { name: 'wipe', confirm: 'Remove all?', commands: ['echo wiped'] },
    { name: 'reset', confirm: 'Sure?', needs: ['destroy', 'wipe'], commands: ['echo reset'] },
  ];
  const good = await onTerminal(more, ['y\n', 'yes\n']);
  assert.is(good.code, 0, good.shown);
  assert.is(good.asked, 2);
  assert.match(good.shown, /Remove all\?.*Sure\?.*gone.*reset/s);
  const bad = await onTerminal(more, ['y\n', '\n']);
  assert.is(bad.code, 1);
  assert.match(bad.shown, 'not confirmed, nothing was done');
  assert.not.match(bad.shown, 'gone');
  const ended = await onTerminal(more, ['\x04']);
  assert.is(ended.code, 1);
  assert.match(ended.shown, /\[y\/N\] \r\nerror: not confirmed/);
});

test('a word that has to be typed is not answered by --yes, but by --confirm', async () => {
  const dear: RigTask[] = [
    { name: 'reset', confirm: { question: 'Remove all?', word: 'production' }, commands: ['echo gone'] },
  ];
  for (const words of [['--yes'], ['--confirm', 'development'], ['--yes', '--confirm', 'y']]) {
    const refused = rig.run(dear, ['reset', ...words]);
    assert.is(await refused.exit, 2, refused.stderr);
    assert.match(refused.stderr, '`--confirm production` answers it, `--yes` does not');
  }
  const answered = rig.run(dear, ['reset', '--confirm', 'production']);
  assert.is(await answered.exit, 0, answered.stderr);
  assert.is((await onTerminal(dear, ['y\n'])).code, 1);
  assert.is((await onTerminal(dear, ['production\n'])).code, 0);
});

test.run();
