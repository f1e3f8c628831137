import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, type RigTask, type RunnerProcess, rig, useRig } from '../rig/rig.ts';

useRig(test);

/** `install` fails as long as there is no file `good`. */
const tasks = (): RigTask[] => [
  { name: 'tool', private: true, plain: true, commands: ['echo tool'] },
  { name: 'install', needs: ['tool'], plain: true, commands: [`test -e ${folder}/good`] },
  { name: 'prepare', plain: true, commands: ['echo prepare'] },
  { name: 'check', needs: ['tool', 'prepare'], plain: true, commands: ['echo check'] },
];

const line = ['install', ',', 'check'];

async function ends(args: readonly string[], code: number): Promise<RunnerProcess> {
  const run = rig.run(tasks(), args);
  assert.is(await run.exit, code, run.stderr);
  return run;
}

test('after a failure the later ones do not start, in any mode, and the rest can be resumed', async () => {
  const failed = await ends([...line, '--failure=continue'], 1);
  assert.match(failed.stderr, '1 failed, 1 done, 2 not started');
  assert.not.match(failed.stderr, 'echo prepare');
  const { stderr } = await ends(['check', ',', 'install', '--resume'], 2);
  assert.match(stderr, 'no earlier run of `check , install` with these arguments');
  await writeFile(join(folder, 'good'), '');
  assert.match((await ends([...line, '--resume'], 0)).stderr, 'done: 4 tasks');
});

test('a dry run, the graph and the help are for all of them', async () => {
  const dry = await ends([...line, '-n'], 0);
  assert.is(dry.stdout, `echo tool\ntest -e ${folder}/good\necho prepare\necho check\n`);
  const drawn = JSON.parse((await ends(['graph', ...line, '--json'], 0)).stdout);
  assert.is(drawn.title, 'install , check');
  const edges = drawn.edges.map(({ from, to, kind }: { [end: string]: string }) => `${from} ${kind} ${to}`);
  assert.equal(edges, ['n0 need n1', 'n1 after n2', 'n0 need n3', 'n2 need n3']);
  const help = (await ends([...line, '--help'], 0)).stdout;
  assert.match(help, /^usage: \S+ install\n[\s\S]*\nusage: \S+ check\n/);
});

test('the whole line is checked before anything runs, and what would never come to its end is refused', async () => {
  for (const [words, what] of [
    ['install , list', 'task `list` runs nothing, and cannot stand among others'],
    ['install , graph check', 'task `graph` runs nothing'],
    ['graph', 'missing argument `<task>…`'],
  ] as const) {
    const { stdout, stderr } = await ends(words.split(' '), 2);
    assert.is(stdout, '');
    assert.ok(stderr.startsWith(`error: ${what}`), stderr);
  }
});

test.run();
