import { spawn } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type RigTask, rig, useRig, within } from '../rig/rig.ts';

useRig(test);

const destroy: RigTask = { name: 'destroy', confirm: 'Remove all?', commands: ['echo gone'] };
const tasks: RigTask[] = [destroy, { name: 'reset', needs: ['destroy'], commands: ['echo reset'] }];

/** Runs in a pseudo-terminal (util-linux `script`), answers each question, and returns all that was shown and the exit code. */
async function onTerminal(declared: readonly RigTask[], task: string, answers: readonly string[]) {
  const command = `${process.execPath} ${rig.program} ${task} --output plain`;
  const child = spawn(
    'script',
    ['--quiet', '--return', '--echo', 'never', '--command', command, '/dev/null'],
    {
      env: { ...process.env, NO_COLOR: '1', RIG_MEMORY: rig.memory, RIG_TASKS: JSON.stringify(declared) },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const rest = [...answers];
  let shown = '';
  let asked = 0;
  child.stdout.on('data', (chunk) => {
    shown += chunk;
    for (; shown.split('[y/N]').length - 1 > asked; asked += 1)
      child.stdin.write(`${rest.shift() ?? 'no'}\n`);
  });
  const code = await within(new Promise((resolve) => child.once('close', resolve)), 'the end of script');
  return { shown, code, asked };
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
  const good = await onTerminal(more, 'reset', ['y', 'yes']);
  assert.is(good.code, 0, good.shown);
  assert.is(good.asked, 2);
  assert.match(good.shown, /Remove all\?.*Sure\?.*gone.*reset/s);
  const bad = await onTerminal(more, 'reset', ['y', '']);
  assert.is(bad.code, 1);
  assert.match(bad.shown, 'not confirmed, nothing was done');
  assert.not.match(bad.shown, 'gone');
  const ended = await onTerminal(more, 'reset', ['\x04']);
  assert.is(ended.code, 1);
  assert.match(ended.shown, /\[y\/N\] \r\nerror: not confirmed/);
});

test.run();
