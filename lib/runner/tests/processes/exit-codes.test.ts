import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rig, type RigTask, type RunnerProcess } from '../rig/rig.ts';

type Case = {
  readonly tasks: readonly RigTask[];
  readonly args: readonly string[];
  readonly during?: (run: RunnerProcess) => Promise<void>;
};

const pair = (first: string, second: string): readonly RigTask[] => [
  { name: 'first', commands: [first] },
  { name: 'second', commands: [second] },
  { name: 'all', needs: ['first', 'second'] },
];

const waiting: Case = {
  // Written by the command itself: from then on it runs.
  tasks: [{ name: 'slow', commands: [`sh -c 'echo up; exec sleep 600'`] }],
  args: ['slow'],
};
const stopped = (signal: NodeJS.Signals): Case => ({
  ...waiting,
  during: async (run) => {
    await run.says('\nup\n');
    run.kill(signal);
  },
});

/** At least one case for each code. */
const cases: { readonly [code: string]: readonly Case[] } = {
  '0': [
    { tasks: [{ name: 'a', commands: ['true'] }], args: ['a'] },
    // More than a timer of Node takes.
    { tasks: [{ name: 'a', commands: ['true'], timeoutMs: 2 ** 40 }], args: ['a'] },
  ],
  '1': [
    { tasks: pair('sh -c "exit 7"', 'sh -c "exit 8"'), args: ['all', '--failure', 'continue'] },
    { tasks: [{ name: 'a', cleanup: 'false' }], args: ['a'] },
    { tasks: [{ name: 'a', behaviour: 'bug' }], args: ['a'] },
  ],
  '2': [
    { tasks: [], args: ['no-such-task'] },
    { tasks: [{ name: 'list' }], args: ['list'] },
    { tasks: [{ name: 'a', confirm: 'really?' }], args: ['a'] },
  ],
  '124': [{ tasks: [{ name: 'a', commands: ['sleep 600'], timeoutMs: 1 }], args: ['a'] }],
  '127': [{ tasks: [{ name: 'a', commands: ['no-such-tool'] }], args: ['a'] }],
  '129': [stopped('SIGHUP')],
  '130': [stopped('SIGINT')],
  '131': [stopped('SIGQUIT')],
  '143': [stopped('SIGTERM')],
  'any other': [
    { tasks: [{ name: 'a', commands: [`sh -c 'exit 42'`] }], args: ['a'] },
    { tasks: [{ name: 'a', commands: [`sh -c 'kill -KILL $$'`] }], args: ['a'] },
  ],
};
const others = [42, 137];

for (const [code, found] of Object.entries(cases)) {
  test(`exit code: ${code}`, async () => {
    const rig = await Rig.open();
    for (const [index, { tasks, args, during }] of found.entries()) {
      const run = rig.run(tasks, args);
      await during?.(run);
      assert.is(await run.exit, code === 'any other' ? others[index] : Number(code), args.join(' '));
    }
    await rig.close();
  });
}

test.run();
