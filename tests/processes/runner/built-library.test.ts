import {
  appendFileSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/project.ts';
import { type Ended, loader, runFile } from '../../rig/run-file.ts';

/* A copy of the runner, with a cache of its own. */
let folder = '';
let cache = '';
test.before(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'built-library-')));
  cache = join(folder, 'cache');
  cpSync(join(root, 'lib', 'runner'), join(folder, 'lib', 'runner'), { recursive: true });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n');
  writeFileSync(
    join(folder, 'tasks.ts'),
    `import { runCli, task } from './lib/runner/runner.ts';
     const hello = task({ name: 'hello', description: 'greets', commands: () => ['echo hello'] });
     process.exitCode = await runCli([hello], process.argv.slice(2));`,
  );
});
test.after(() => rm(folder, { recursive: true, force: true }));

const run = (env: NodeJS.ProcessEnv = {}, file = 'tasks.ts'): Promise<Ended> =>
  runFile(process.execPath, ['--import', loader, file, 'hello'], folder, { XDG_CACHE_HOME: cache, ...env });

async function greets(env: NodeJS.ProcessEnv = {}, file = 'tasks.ts'): Promise<void> {
  const { exitCode, stderr } = await run(env, file);
  assert.is(exitCode, 0, stderr);
  assert.match(stderr, /^hello$/m);
}

const memory = (): string =>
  join(cache, 'task-runner', join(folder, 'lib', 'runner', 'runner.ts').replaceAll('/', '%'));
const built = (): string => join(memory(), 'library.js');
/** Changes whenever the library is built. */
const inode = (): number => statSync(built()).ino;
const compiled = (): string[] => readdirSync(memory()).filter((name) => name.startsWith('compiled-'));

test('the library is built once, readable for nobody else, and kept with what was compiled of it', async () => {
  await greets();
  assert.is(statSync(built()).mode & 0o777, 0o600);
  assert.is(compiled().length, 1);
  const before = [inode(), statSync(join(memory(), compiled()[0] ?? '')).ino];
  await greets();
  assert.equal([inode(), statSync(join(memory(), compiled()[0] ?? '')).ino], before);
  assert.equal(readdirSync(memory()).length, 2, 'no temporary file is left');
});

test('what a list compiles is replaced by what the first run does, and that stays', async () => {
  const known = (): readonly number[] => {
    const { ino, size } = statSync(join(memory(), compiled()[0] ?? ''));
    return [compiled().length, ino, size];
  };
  const list = () =>
    runFile(process.execPath, ['--import', loader, 'tasks.ts'], folder, { XDG_CACHE_HOME: cache });
  rmSync(join(memory(), compiled()[0] ?? ''));
  assert.is((await list()).exitCode, 0);
  const [, , light = 0] = known();
  await list();
  assert.is(known()[2], light);
  await greets();
  const whole = known();
  assert.is(whole[0], 1);
  assert.ok((whole[2] ?? 0) > light, 'a run has compiled more');
  await list();
  await greets();
  assert.equal(known(), whole);
});

test('a source that changes counts at once', async () => {
  const source = join(folder, 'lib', 'runner', 'exit-codes.ts');
  const text = readFileSync(source, 'utf8');
  const before = compiled();
  appendFileSync(source, "\nprocess.stderr.write('changed\\n');\n");
  assert.match((await run()).stderr, 'changed');
  assert.is(compiled().length, 1);
  assert.is.not(compiled()[0], before[0], 'what was compiled of the old one is gone');
  writeFileSync(source, text);
  assert.not.match((await run()).stderr, 'changed');
});

test('a kept file that is damaged is built anew', async () => {
  const text = readFileSync(built(), 'latin1');
  for (const damaged of ['', text.slice(0, 1000), text.slice(0, -20)]) {
    writeFileSync(built(), damaged);
    await greets();
    assert.is(readFileSync(built(), 'latin1'), text);
  }
  writeFileSync(join(memory(), compiled()[0] ?? ''), 'no compiled code');
  await greets();
  assert.is.not(readFileSync(join(memory(), compiled()[0] ?? ''), 'utf8'), 'no compiled code');
});

test('where nothing can be kept it is built for the process alone', async () => {
  await greets({ XDG_CACHE_HOME: '/dev/null/none', HOME: '/dev/null' });
  await greets({ XDG_CACHE_HOME: '', HOME: '' });
});

test('a file of tasks may be CommonJS', async () => {
  mkdirSync(join(folder, 'common'));
  writeFileSync(join(folder, 'common', 'package.json'), '{"type":"commonjs"}\n');
  writeFileSync(
    join(folder, 'common', 'tasks.ts'),
    `import { runCli, task, TaskError } from '../lib/runner/runner.ts';
     const hello = task({ name: 'hello', description: 'greets', commands: () => ['echo hello'] });
     void runCli([hello], process.argv.slice(2)).then((code) => { process.exitCode = code; });
     if (!(new TaskError({ what: 'x' }) instanceof Error)) throw new Error('not one');`,
  );
  await greets({}, 'common/tasks.ts');
});

const rootIt = process.getuid?.() === 0 ? test : test.skip;
rootIt('what belongs to another user is not run', async () => {
  writeFileSync(built(), `(function () { console.log('of somebody else') })\n// {"id":"x","sources":[]}\n`);
  chownSync(built(), 65534, 65534);
  await greets();
  assert.is(statSync(built()).uid, 0);
});

test('of a runner that is gone nothing is kept', async () => {
  const gone = join(cache, 'task-runner', '%gone%runner.ts');
  cpSync(memory(), gone, { recursive: true });
  const text = readFileSync(built(), 'latin1');
  writeFileSync(join(gone, 'library.js'), text.replace(/"door":"[^"]*"/, '"door":"/gone/runner.ts"'));
  writeFileSync(built(), '');
  await greets();
  assert.not(existsSync(gone));
  assert.ok(existsSync(built()));
});

test.run();
