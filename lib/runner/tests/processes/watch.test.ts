import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, type RigTask, type RunnerProcess, rig, useRig } from '../rig/rig.ts';

useRig(test);
test.before.each(async () => {
  await mkdir(join(folder, 'src'));
  await write('src/a.ts', '1');
});

const write = (path: string, text: string): Promise<void> => writeFile(join(folder, path), text);
/** With globs relative to the folder. */
const build = ({ inputs = ['src/**'], watched, ...more }: Partial<RigTask> = {}): RigTask => ({
  name: 'build',
  commands: [rig.command('build')],
  ...(watched === undefined ? { inputs: inputs.map(below) } : { watched: watched.map(below) }),
  ...more,
});
const below = (glob: string): string => glob.replace(/^!?/, `$&${folder}/`);

async function watching(...tasks: readonly RigTask[]): Promise<RunnerProcess> {
  const run = rig.run(tasks, ['build', '--watch']);
  await rig.pass('build');
  await run.says('watching ');
  return run;
}

async function interrupt(run: RunnerProcess): Promise<void> {
  run.kill('SIGINT');
  await run.ends(130);
}

/** The next run, which has come for this change. */
async function again(run: RunnerProcess, change: string, ...changed: readonly unknown[]): Promise<void> {
  await Promise.all(changed);
  await rig.pass('build');
  assert.match(run.stderr, new RegExp(`^.*${change}.*$`, 'm'));
}

test('runs again when an input changes, is new, gone or written beside and renamed, with the tasks that it matters for', async () => {
  await write('other', '');
  const other = { name: 'other', inputs: [below('other')], commands: ['echo ran other'] };
  const run = await watching(other, build({ needs: ['other'] }));
  assert.match(run.stderr, 'watching 2 inputs of 2 tasks; Ctrl-C ends it');
  await again(run, 'src/a.ts changed', write('src/a.ts', '2'));
  await run.says('✓ other is up to date');
  await again(run, 'src/b.ts is new', write('src/b.ts', '1'));
  await again(run, 'src/b.ts is gone', rm(join(folder, 'src/b.ts')));
  await write('draft', '3');
  await rename(join(folder, 'draft'), join(folder, 'src/a.ts'));
  await again(run, 'src/a.ts changed');
  await interrupt(run);
  assert.is(run.stderr.split('src/a.ts changed').length, 3);
});

test('sees what appears in new folders, and folders that go away and come back', async () => {
  const run = await watching(build());
  await mkdir(join(folder, 'src/deep/er'), { recursive: true });
  await again(run, 'src/deep/er/c.ts is new', write('src/deep/er/c.ts', '1'));
  await again(run, 'src/deep/er/c.ts changed', write('src/deep/er/c.ts', '2'));
  await rename(join(folder, 'src'), join(folder, 'away'));
  // No input is left, which is an error of the task, and watching goes on.
  await run.says('matches no file');
  await rename(join(folder, 'away'), join(folder, 'src'));
  await run.says('src/a.ts is new');
  await run.says('✓ build is up to date');
  await again(run, 'c.ts changed', write('src/deep/er/c.ts', '3'));
  await interrupt(run);
});

test('sees changes behind links: in a folder, in a file, of what they lead to', async () => {
  await mkdir(join(folder, 'ext/in'), { recursive: true });
  await mkdir(join(folder, 'other'));
  for (const path of ['ext/f', 'other/file']) await write(path, '1');
  await symlink('../ext', join(folder, 'src/link'));
  await symlink('../other/file', join(folder, 'src/file'));
  await symlink('../other/later', join(folder, 'src/later'));
  const run = await watching(build());
  await again(run, 'src/link/f changed', write('ext/f', '2'));
  await again(run, 'src/link/in/new is new', write('ext/in/new', '1'));
  await again(run, 'src/file changed', write('other/file', '2'));
  await again(run, 'src/later changed', write('other/later', '2'));
  await interrupt(run);
});

test('a folder that does not exist yet is waited for', async () => {
  const run = rig.run([build({ inputs: ['gone/in/here/*.ts'] })], ['build', '--watch']);
  await run.says('matches no file');
  await mkdir(join(folder, 'gone/in/here'), { recursive: true });
  await again(run, 'gone/in/here/a.ts is new', write('gone/in/here/a.ts', '1'));
  await interrupt(run);
});

test('a change during a run leads to one more run afterwards', async () => {
  const run = rig.run([build()], ['build', '--watch']);
  const first = await rig.next('build');
  await write('src/a.ts', '2');
  await write('src/a.ts', '3');
  assert.not(rig.hasStarted('build'));
  await first.exit();
  await again(run, 'src/a.ts changed');
  await run.says('watching ');
  await interrupt(run);
  assert.is(run.stderr.split('src/a.ts changed').length, 2);
  assert.not(rig.hasStarted('build'));
});

test('a failing run keeps watching, even one that kills the rest', async () => {
  const run = rig.run([build()], ['build', '--watch', '--failure', 'kill']);
  await (await rig.next('build')).exit(3);
  await run.says('watching ');
  await again(run, 'src/a.ts changed', write('src/a.ts', '2'));
  await interrupt(run);
});

test('the lock is only held while a run lasts; events of watching are lines of JSON like all others', async () => {
  const tasks = [build({ lock: true }), { name: 'other', lock: true, commands: ['true'] }];
  const run = rig.run(tasks, ['build', '--watch', '--output', 'json']);
  await rig.pass('build');
  await run.says('watch-waiting');
  await rig.run(tasks, ['other', '--no-wait']).ends(0);
  await write('src/a.ts', '2');
  await rig.pass('build');
  await run.says(/watch-waiting.*watch-waiting/s);
  await interrupt(run);
  assert.not.match(run.stderr, 'run-stopping');
  const changed = run.stderr.split('\n').find((line) => line.includes('watch-changed')) ?? '';
  assert.match(JSON.parse(changed).changes[0], /src\/a\.ts changed$/);
});

test('a requested long-running task is ended and started again', async () => {
  const run = rig.run([build({ ready: { log: 'up' } })], ['build', '--watch']);
  const first = await rig.next('build');
  await first.print('up\n');
  await write('src/a.ts', '2');
  await first.ended;
  const second = await rig.next('build');
  assert.match(run.stderr, 'stopping: an input changed');
  run.kill('SIGINT');
  await second.ended;
  await run.ends(130);
  assert.not.match(run.stderr, 'watching');
});

test('what is only watched brings another run and makes nothing up to date; it need not exist yet, and neither what is left out nor the same text again is a change', async () => {
  const watched = build({ watched: ['src/**', '!**/*~', 'later'] });
  const run = await watching(watched);
  assert.match(run.stderr, 'watching 1 input of 1 task');
  await write('src/a.ts~', 'draft');
  await write('src/a.ts', '1');
  await again(run, 'later is new', write('later', '1'));
  await interrupt(run);
  assert.not.match(run.stderr, 'a.ts');
  const once = rig.run([watched], ['build']);
  await rig.pass('build');
  await once.ends(0);
});

test('without a task with inputs there is nothing to watch', async () => {
  const run = await rig.run([{ name: 'a', commands: ['true'] }], ['a', '--watch']).ends(2);
  assert.match(run.stderr, 'error: nothing to watch for `a`\n  why: it declares no inputs\n  do: ');
});

test.run();
