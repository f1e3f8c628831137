import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, type RigTask, type RunnerProcess, rig, useRig } from '../rig/rig.ts';

useRig(test);

const ok = (name: string, more: Partial<RigTask> = {}): RigTask => ({
  name,
  plain: true,
  commands: [`echo ${name}`],
  ...more,
});
/** `install` fails as long as there is no file `good`. */
const tasks = (): RigTask[] => [
  ok('tool', { private: true }),
  ok('install', { needs: ['tool'], commands: [`test -e ${folder}/good`] }),
  ok('prepare'),
  ok('check', { needs: ['tool', 'prepare'] }),
];

async function ends(args: readonly string[], code: number): Promise<RunnerProcess> {
  const run = rig.run(tasks(), args);
  assert.is(await run.exit, code, run.stderr);
  return run;
}

test('after a failure the later ones do not start, in any mode, and the rest can be resumed', async () => {
  const failed = await ends(['install', ',', 'check', '--failure=continue'], 1);
  assert.match(failed.stderr, '1 failed, 1 done, 2 not started');
  assert.not.match(failed.stderr, 'echo prepare');
  const { stderr } = await ends(['check', ',', 'install', '--resume'], 2);
  assert.match(stderr, 'no earlier run of `check , install` with these arguments');
  await writeFile(join(folder, 'good'), '');
  assert.match((await ends(['install', ',', 'check', '--resume'], 0)).stderr, 'done: 4 tasks');
});

test('the steps of a task run one after another before it, and what the first one made is removed in the end', async () => {
  const remove = ok('remove', { private: true });
  const scratch = ok('scratch', { private: true, finally: ['remove'] });
  const all = [...tasks(), remove, scratch, ok('verify', { steps: ['scratch', 'install', 'check'] })];
  const run = rig.run(all, ['verify', '--output=plain']);
  assert.is(await run.exit, 1, run.stderr);
  assert.match(run.stderr, '1 failed, 3 done, 3 not started');
  assert.equal(run.stderr.match(/^\$ echo .*$/gm), ['$ echo scratch', '$ echo tool', '$ echo remove']);
  await writeFile(join(folder, 'good'), '');
  const dry = rig.run(all, ['verify', '--dry-run']);
  assert.is(await dry.exit, 0, dry.stderr);
  const lines = ['scratch', 'tool', `test -e ${folder}/good`, 'prepare', 'check', 'verify', 'remove'];
  assert.equal(
    dry.stdout.trimEnd().split('\n'),
    lines.map((line) => (line.includes(' ') ? line : `echo ${line}`)),
  );
});

test('a dry run, the graph and the help are for all of them', async () => {
  const line = ['install', ',', 'check'];
  const dry = await ends([...line, '-n'], 0);
  assert.equal(dry.stdout.trimEnd().split('\n'), [
    'echo tool',
    `test -e ${folder}/good`,
    'echo prepare',
    'echo check',
  ]);
  const drawn = JSON.parse((await ends(['graph', ...line, '--json'], 0)).stdout);
  assert.is(drawn.title, 'install , check');
  assert.equal(
    drawn.edges.map(({ from, to, kind }: { [end: string]: string }) => `${from} ${kind} ${to}`),
    ['n0 need n1', 'n1 after n2', 'n0 need n3', 'n2 need n3'],
  );
  const help = (await ends([...line, '--help'], 0)).stdout;
  assert.match(help, /^usage: \S+ install\n[\s\S]*\nusage: \S+ check\n/);
});

test('the whole line is checked before anything runs, and what would never come to its end is refused', async () => {
  for (const [line, what] of [
    ['install , chek', 'unknown task `chek`'],
    ['install , list', 'task `list` runs nothing, and cannot stand among others'],
    ['install , graph check', 'task `graph` runs nothing'],
    ['graph', 'missing argument `<task>…`'],
  ] as const) {
    const { stdout, stderr } = await ends(line.split(' '), 2);
    assert.is(stdout, '');
    assert.ok(stderr.startsWith(`error: ${what}`), stderr);
  }
});

test.run();
