import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { type Ended, loader, runFile } from '../../../lib/runner/tests/rig/ended.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { projectOf } from '../../rig/launch.ts';

/* A small project that `./run` starts like ours. */

const tasks = `import { readFileSync } from 'node:fs';
import { runCli, task } from './lib/runner/runner.ts';
import { word } from './tasks/word.ts';

const greet = task({ name: 'greet', description: 'greets', commands: () => [\`echo \${word}\`] });
const bug = task({
  name: 'bug',
  description: 'has one',
  commands: () => [],
  run: () => {
    throw new Error('a bug');
  },
});
const data = task({
  name: 'data',
  description: 'reads a file beside its source',
  commands: () => [],
  run: ({ print }) => print(readFileSync(new URL('package-lock.json', import.meta.url), 'utf8')),
});
process.exitCode = await runCli([greet, bug, data, ...(process.env.TWICE ? [task({ ...greet })] : [])], process.argv.slice(2));
`;

const folder = projectOf(tasks, join(temporaryFolder(), 'a #1 %20 project'));
fs.cpSync(join(root, 'lib', 'runner'), join(folder, 'lib', 'runner'), { recursive: true });
const write = (name: string, text: string): void => fs.writeFileSync(join(folder, name), text);
write('tasks/word.ts', "export const word = 'hello';\n");

const bundle = join(folder, '.build', 'tasks.mjs');
const unbuild = (): void => fs.rmSync(join(folder, '.build'), { recursive: true, force: true });
const run = (words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
  runFile(join(folder, 'run'), words, folder, env);
const sources = (words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
  runFile(process.execPath, ['--import', loader, 'tasks.ts', ...words], folder, env);

async function greeting(): Promise<string> {
  const { stdout, stderr } = await run(['greet', '--dry-run']);
  return /echo (\w+)/.exec(stdout)?.[1] ?? stderr;
}

test('the bundle is built once, and again when a source, a package or the list of sources changes', async () => {
  assert.is(await greeting(), 'hello');
  const inode = (): number => fs.statSync(bundle).ino;
  let before = inode();
  await greeting();
  assert.is(inode(), before);
  const changes: readonly (() => void)[] = [
    () => write('tasks/word.ts', "export const word = 'bye';\n"),
    () => write('package-lock.json', '{"name":"x"}\n'),
    () => write('tasks/more.ts', ''),
    () => fs.rmSync(join(folder, 'tasks/more.ts')),
    // As `cp -p` of an older file does.
    () => fs.utimesSync(join(folder, 'tasks/word.ts'), 1, 1),
    // Made before the clock was set back by an hour.
    () => fs.utimesSync(bundle, Date.now(), Date.now() / 1000 + 3600),
  ];
  for (const change of changes) {
    change();
    assert.is(await greeting(), 'bye');
    assert.is.not(inode(), before, String(change));
    before = inode();
  }
  write('tasks/word.ts', "export const word = 'hello';\n");
  write('package-lock.json', '{}\n');
  const left = fs.readdirSync(join(folder, '.build')).filter((name) => name !== 'compiled');
  assert.equal(left.sort(), ['tasks.mjs', 'tasks.mjs.map'], 'no temporary file is left');
});

test('what cannot be bundled runs from its sources, with their errors', async () => {
  write('tasks/word.ts', 'export const word = ;\n');
  const { exitCode, stderr } = await run(['greet']);
  assert.is.not(exitCode, 0);
  assert.match(stderr, /tasks\/word\.ts:1:20/);
  write('tasks/word.ts', "export const word = 'hello';\n");
  // Where nothing can be written: root ignores modes, but not that this is a file.
  unbuild();
  write('.build', '');
  assert.is(await greeting(), 'hello');
  unbuild();
});

test('variables that steer the loader do not change how a run starts, and with any umask only the owner can write the bundle', async () => {
  unbuild();
  const steered = { TSX_TSCONFIG_PATH: '/none.json', ESBUILD_BINARY_PATH: '/none', GOMEMLIMIT: 'none' };
  const words = ['-c', 'umask 700; exec ./run greet --output plain'];
  const { exitCode, stderr } = await runFile('/bin/sh', words, folder, steered);
  assert.is(exitCode, 0, stderr);
  const modes = [join(folder, '.build'), bundle].map((path) => fs.statSync(path).mode & 0o722);
  assert.equal(modes, [0o700, 0o600]);
});

test('runs that start at the same time each get a complete bundle', async () => {
  unbuild();
  const maps = new Set<string>();
  const ends = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const end = await run(['greet', '--output', 'plain']);
      maps.add(fs.readFileSync(`${bundle}.map`, 'utf8'));
      return end;
    }),
  );
  for (const { exitCode, stderr } of ends) assert.is(exitCode, 0, stderr);
  // A map fits the code of each of them.
  assert.is(maps.size, 1);
  assert.is(await greeting(), 'hello');
});

test('files and lines in errors are those of the sources, and a module finds the files beside it', async () => {
  for (const start of [run, sources]) {
    const { exitCode, stderr } = await start(['bug', '--verbose', '--output', 'plain']);
    assert.is(exitCode, 1);
    assert.match(stderr, `${folder}/tasks.ts:11:11`);
    assert.match(stderr, /lib\/runner\/\S+\.ts:\d+:\d+/);
    assert.not.match(stderr, '.build');
    const twice = await start(['list'], { TWICE: '1' });
    assert.match(twice.stderr, /tasks\.ts:5 and .*tasks\.ts:20/);
    assert.is((await start(['data', '--output', 'plain'])).stdout, '{}\n');
  }
});

test('with a missing or outdated source map, errors show no wrong lines', async () => {
  await greeting();
  const map = `${bundle}.map`;
  for (const spoil of [
    () =>
      fs.writeFileSync(map, fs.readFileSync(map, 'utf8').replace(/"bundleId":"[^"]*"/, '"bundleId":"1-2"')),
    () => fs.rmSync(map),
  ]) {
    spoil();
    const { exitCode, stderr } = await run(['bug', '--verbose', '--output', 'plain']);
    assert.is(exitCode, 1);
    assert.match(stderr, /a bug[\s\S]*\.build\/tasks\.mjs:\d+:\d+/);
    assert.not.match(stderr, 'tasks.ts:');
  }
});

test('packages that few runs need are not loaded at every start', async () => {
  const done = await run(['greet', '--report', 'run.html']);
  assert.is(done.exitCode, 0, done.stderr);
  assert.match(fs.readFileSync(join(folder, 'run.html'), 'utf8'), '<svg ');
  assert.not.match(fs.readFileSync(bundle, 'utf8'), /from ?"[^"]*node_modules/);
});

test.run();
