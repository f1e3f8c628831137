import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, type RigTask, type RunnerProcess, rig, useRig } from '../rig/rig.ts';

useRig(test);
test.before.each(async () => {
  await mkdir(join(folder, 'src'));
  await write('src/a.ts', 'one');
});

const write = (path: string, text: string): Promise<void> => writeFile(join(folder, path), text);

/** A task of the folder that copies its inputs to its output. */
const build = (more: Partial<RigTask> = {}): RigTask => ({
  name: 'build',
  cwd: folder,
  inputs: ['src/**'],
  commands: [`sh -c 'echo ran; mkdir -p ${folder}/dist; cat ${folder}/src/* > ${folder}/dist/all'`],
  ...more,
});

/** Runs to a good end and returns the explanations. */
async function explain(tasks: readonly RigTask[], task: string, ...args: string[]): Promise<string[]> {
  const run = rig.run(tasks, [task, '--explain', ...args]);
  assert.is(await run.exit, 0, run.stderr);
  return explanations(run);
}

function explanations(run: RunnerProcess): string[] {
  return run.stderr
    .split('\n')
    .map((line) => line.replace(/^(✓ | {2})/, ''))
    .filter((line) => / runs: | is up to date: | was done by /.test(line));
}

test('the summary says how many are up to date; a single task says it of itself', async () => {
  const tasks = [build(), { name: 'top', commands: ['true'], needs: ['build'] }];
  assert.is(await rig.run(tasks, ['top']).exit, 0);
  const again = rig.run(tasks, ['top']);
  assert.is(await again.exit, 0);
  assert.match(again.stderr, '✓ build is up to date\n');
  assert.not.match(again.stderr, '\nran');
  assert.match(again.stderr, /done: 2 tasks in .*, 1 up to date\n/);
  const alone = rig.run(tasks, ['build']);
  assert.is(await alone.exit, 0);
  assert.is(alone.stderr, '✓ build is up to date\n');
});

test('words after -- and other arguments are other tasks to remember', async () => {
  const task = build({ passThrough: true });
  await explain([task], 'build', '--', 'x');
  assert.equal(await explain([task], 'build', '--', 'x'), ['build is up to date: 1 input says so']);
  assert.equal(await explain([task], 'build', '--', 'y'), ['build runs: its words after `--` changed']);
  const other = await explain([task], 'build', '--environment', 'production', '--', 'y');
  assert.equal(other, ['build runs: no earlier success is remembered']);
});

test('a status command decides alone, or together with inputs', async () => {
  const alone: RigTask = {
    name: 'make',
    commands: [`touch ${folder}/made`],
    status: `test -e ${folder}/made`,
  };
  assert.equal(await explain([alone], 'make'), ['make runs: its status command ended with exit code 1']);
  assert.equal(await explain([alone], 'make'), ['make is up to date: its status command says so']);
  const both = build({ status: 'test -e wanted', env: { ANY: 'thing' } });
  assert.equal(await explain([both], 'build'), ['build runs: no earlier success is remembered']);
  assert.equal(await explain([both], 'build'), ['build runs: its status command ended with exit code 1']);
  await write('wanted', '');
  assert.equal(await explain([both], 'build'), [
    'build is up to date: 1 input and its status command say so',
  ]);
});

test('a status command sees the variables of its task, and stays silent', async () => {
  const task: RigTask = {
    name: 'make',
    commands: ['true'],
    env: { WANTED: 'yes' },
    status: 'echo noise; test "$WANTED" = yes',
  };
  const run = rig.run([task], ['make']);
  assert.is(await run.exit, 0);
  assert.is(run.stderr, '✓ make is up to date\n');
});

test('a signal ends a status command and the run', async () => {
  const run = rig.run([{ name: 'make', commands: ['true'], status: rig.command('status') }], ['make']);
  const status = await rig.next('status');
  run.kill('SIGTERM');
  await status.ended;
  assert.is(await run.exit, 143);
});

test('a task that fails, is interrupted or killed is forgotten', async () => {
  const bad = (code: number): RigTask =>
    build({ commands: [`sh -c 'exit $(cat ${folder}/code)'`, `true ${code}`] });
  const held = build({ commands: [rig.command('held')] });
  await write('code', '0');
  await explain([bad(0)], 'build');
  await write('code', '3');
  assert.is(await rig.run([bad(0)], ['build', '--force']).exit, 3);
  assert.equal(await explain([build()], 'build'), ['build runs: no earlier success is remembered']);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const good = rig.run([held], ['build', '--force']);
    await (await rig.next('held')).exit();
    assert.is(await good.exit, 0);
    const stopped = rig.run([held], ['build', '--force']);
    const invocation = await rig.next('held');
    stopped.kill(signal);
    await stopped.exit;
    if (signal === 'SIGKILL') await invocation.exit();
    const again = rig.run([held], ['build', '--explain']);
    await (await rig.next('held')).exit();
    assert.is(await again.exit, 0);
    assert.equal(explanations(again), ['build runs: no earlier success is remembered'], signal);
  }
});

test('an input that changes while the task runs makes it run again', async () => {
  const task = build({ commands: [rig.command('slow')] });
  const run = rig.run([task], ['build']);
  const slow = await rig.next('slow');
  await write('src/a.ts', 'meanwhile');
  await slow.exit();
  assert.is(await run.exit, 0);
  const again = rig.run([task], ['build', '--explain']);
  await (await rig.next('slow')).exit();
  assert.is(await again.exit, 0);
  assert.equal(explanations(again), ['build runs: src/a.ts changed']);
});

test('a damaged file counts as nothing remembered', async () => {
  await explain([build()], 'build');
  const files = join(rig.memory, 'fingerprints');
  const [name = ''] = await readdir(files);
  const good = await readFile(join(files, name), 'utf8');
  for (const text of ['', good.slice(0, -9), 'null', '[]', good.replace('"inputs":{', '"inputs":{"x":1,')]) {
    await writeFile(join(files, name), text);
    assert.equal(await explain([build()], 'build'), ['build runs: no earlier success is remembered'], text);
  }
});

test('a need with outputs re-triggers only when it made something else', async () => {
  const tasks = [
    build({ name: 'generate', outputs: ['dist/all'] }),
    build({ name: 'test', inputs: [], needs: ['generate'], commands: ['true'] }),
  ];
  await explain(tasks, 'test');
  await write('src/empty.ts', '');
  assert.equal(await explain(tasks, 'test'), [
    'generate runs: src/empty.ts is new',
    'test is up to date: 0 inputs say so',
  ]);
  await write('src/a.ts', 'other');
  assert.equal(
    (await explain(tasks, 'test'))[1],
    'test runs: generate, which it needs, changed something since',
  );
});

test('the memory is a folder that version control leaves alone, and a plain single task makes none', async () => {
  const memory = join(folder, 'deep', 'memory');
  const env = { RIG_MEMORY: memory };
  assert.is(await rig.run([{ name: 'plain', commands: ['true'] }], ['plain'], env).exit, 0);
  assert.not(existsSync(memory));
  assert.is(await rig.run([build()], ['build'], env).exit, 0);
  assert.is(await readFile(join(memory, '.gitignore'), 'utf8'), '*\n');
  assert.not((await readdir(join(memory, 'fingerprints'))).some((name) => name.endsWith('.tmp')));
});

test('a dry run explains on stderr and leaves stdout to paste; nothing is run for it', async () => {
  const tasks = [
    build({ name: 'generate', outputs: ['dist/all'], commands: ['echo generate'] }),
    build({ name: 'late', inputs: ['dist/late'], needs: ['generate'], commands: ['echo late'] }),
    build({ name: 'test', inputs: [], needs: ['generate'], commands: ['echo test'] }),
    { name: 'make', commands: ['echo make'], status: `touch ${folder}/asked` },
    { name: 'deploy', commands: ['echo deploy'], needs: ['late', 'test', 'make'] },
  ];
  const run = rig.run(tasks, ['deploy', '--dry-run', '--explain']);
  assert.is(await run.exit, 0);
  const inFolder = (command: string): string => `(cd ${folder} && ${command})\n`;
  const own = ['echo generate', 'echo late', 'echo test'].map(inFolder).join('');
  assert.is(run.stdout, `${own}echo make\necho deploy\n`);
  assert.equal(run.stderr.trim().split('\n'), [
    'generate runs: no earlier success is remembered',
    'late runs after generate: input `dist/late` of task `late` matches no file yet',
    'test runs: no earlier success is remembered',
    'make runs unless its status command says that nothing is to be done',
    'deploy runs: it declares neither inputs nor status',
  ]);
  assert.not(existsSync(join(folder, 'asked')));
  assert.equal(await readdir(rig.memory), []);
});

test('a dry run knows what is up to date, and what hangs on a need', async () => {
  const tasks = [
    build({ name: 'generate', outputs: ['dist/all'] }),
    build({ name: 'test', inputs: [], needs: ['generate'], commands: ['true'] }),
  ];
  await explain(tasks, 'test');
  const good = rig.run(tasks, ['test', '-n', '--explain']);
  assert.is(await good.exit, 0);
  assert.is(
    good.stderr,
    'generate is up to date: 1 input and 1 output say so\ntest is up to date: 0 inputs say so\n',
  );
  await write('src/a.ts', 'other');
  const changed = rig.run(tasks, ['test', '-n', '--explain']);
  assert.is(await changed.exit, 0);
  assert.match(changed.stderr, 'test runs if generate, which it needs, changes something\n');
});

test.run();
