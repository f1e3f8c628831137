import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);
test.before.each(async () => {
  await mkdir(join(folder, 'src'));
  await write('src/a.ts', 'one');
});

const write = (path: string, text: string): Promise<void> => writeFile(join(folder, path), text);

/** A task of the folder. */
const build = (more: Partial<RigTask> = {}): RigTask => ({
  name: 'build',
  cwd: folder,
  inputs: ['src/**'],
  commands: ['echo ran'],
  ...more,
});

/** Runs to a good end and returns the explanations. */
async function explain(tasks: readonly RigTask[], task: string, ...args: string[]): Promise<string[]> {
  const run = rig.run(tasks, [task, '--explain', ...args]);
  assert.is(await run.exit, 0, run.stderr);
  const lines = run.stderr.split('\n').map((line) => line.replace(/^(✓ | {2})/, ''));
  return lines.filter((line) => / (runs|is up to date|was done by)\b/.test(line));
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

test('words after -- and global options count', async () => {
  const task = build({ passThrough: true });
  await explain([task], 'build', '--', 'x');
  assert.equal(await explain([task], 'build', '--', 'y'), ['build runs: its words after `--` changed']);
  const other = await explain([task], 'build', '--environment', 'production', '--', 'y');
  assert.equal(other, ['build runs: no earlier success is remembered']);
});

test('a status command decides, sees the variables of its task and stays silent', async () => {
  const status = `echo noise; test "$WANTED" = yes -a -e ${folder}/made`;
  const task: RigTask = {
    name: 'make',
    commands: [`touch ${folder}/made`],
    env: { WANTED: 'yes' },
    status,
  };
  assert.equal(await explain([task], 'make'), ['make runs: its status command ended with exit code 1']);
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

test('a task that fails or is killed is forgotten; one whose input changes meanwhile runs again', async () => {
  const held = build({ commands: [rig.command('held')] });
  const go = async (code: number | 'kill', ...words: string[]): Promise<string> => {
    const run = rig.run([held], ['build', '--explain', ...words]);
    const invocation = await rig.next('held');
    if (code === 'kill') {
      run.kill('SIGKILL');
      await run.exit;
    }
    await invocation.exit(code === 'kill' ? 0 : code);
    await run.exit;
    return run.stderr;
  };
  const forgotten = 'build runs: no earlier success is remembered';
  await go(0);
  await go(3, '--force');
  assert.match(await go(0), forgotten);
  await go('kill', '--force');
  assert.match(await go(0), forgotten);
  await write('src/a.ts', 'two');
  const run = rig.run([held], ['build']);
  const slow = await rig.next('held');
  await write('src/a.ts', 'meanwhile');
  await slow.exit();
  assert.is(await run.exit, 0);
  assert.match(await go(0), 'build runs: src/a.ts changed');
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
    build({ name: 'generate', commands: ['echo generate'] }),
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

test('a dry run knows what is up to date', async () => {
  const tasks = [build({ name: 'generate' }), build({ name: 'test', needs: ['generate'] })];
  await explain(tasks, 'test');
  const good = ['generate is up to date: 1 input says so', 'test is up to date: 1 input says so'];
  assert.equal(await explain(tasks, 'test', '-n'), good);
  await write('src/a.ts', 'other');
  const [, changed] = await explain(tasks, 'test', '-n');
  assert.is(changed, 'test runs: generate, which it needs, changed and 1 more change');
});

test.run();
