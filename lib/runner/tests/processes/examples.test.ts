import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../ground/project.ts';
import { type Ended, loader, runFile } from '../rig/run-file.ts';

const examples = join(root, 'lib', 'runner', 'examples');

/* Examples run in a folder that is empty but for what they make themselves. */
let folder = '';
test.before.each(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'runner-examples-')));
});
test.after.each(() => rm(folder, { recursive: true, force: true }));

const ran = new Set<string>();

/** Runs an example as a user would. */
function run(example: string, ...words: readonly string[]): Promise<Ended> {
  ran.add(example);
  // What the examples read from the environment, as if it were not set.
  const unset = { STAGE: undefined, BACKUP_FOLDER: undefined };
  return runFile(process.execPath, ['--import', loader, join(examples, example), ...words], folder, unset);
}

/** How many lines of the log are exactly this text. */
const times = (log: string, line: string): number =>
  log.split('\n').filter((candidate) => candidate.trim() === line).length;

test('minimal: one task, and how it is found', async () => {
  const hello = await run('minimal.ts', 'hello');
  assert.equal([hello.exitCode, hello.stderr], [0, '$ echo hello\nhello\n']);
  assert.match((await run('minimal.ts')).stdout, /hello +say hello/);
  const wrong = await run('minimal.ts', 'helo');
  assert.is(wrong.exitCode, 2);
  assert.match(wrong.stderr, 'hello');
});

test('arguments: by place, by name, from the environment, as they are', async () => {
  const words = ['copy', 'a.txt', 'b.txt', '--to', 'backup', '-v', '2', '--tags', 'x,y', '--', '--preserve'];
  const full = await run('arguments.ts', ...words);
  assert.match(full.stderr, 'cp --preserve a.txt b.txt backup\n');
  assert.match(full.stderr, 'keep 2, none, tags x+y\n');
  assert.is(times(full.stderr, 'compare'), 1);
  const short = await run(
    'arguments.ts',
    'cp',
    'a.txt',
    '--to=b',
    '--compress',
    'gzip',
    '--no-check',
    '--dry-run',
  );
  assert.is(short.stdout, 'echo cp a.txt b\necho keep 1, gzip, tags none\n');
  const wrong = await run('arguments.ts', 'copy', 'a.txt', '--to', 'b', '--compress', 'gzipp');
  assert.equal([wrong.exitCode, /gzip\b/.test(wrong.stderr)], [2, true]);
});

test('needs: before their dependents, a shared one once, a private one not by itself', async () => {
  const { exitCode, stderr } = await run('needs.ts', 'release');
  assert.is(exitCode, 0);
  for (const line of ['install', 'lint', 'build client', 'build server', 'publish'])
    assert.is(times(stderr, line), 1, line);
  const ends = [...stderr.matchAll(/^✓ (.*) [\d.]+s$/gm)].map((match) => match[1] ?? '');
  assert.is(ends[0], 'install');
  assert.equal(ends.slice(-2), ['publish', 'release']);
  assert.is((await run('needs.ts', 'install')).exitCode, 2);
  assert.not.match((await run('needs.ts', 'publish', '--dry-run')).stdout, 'lint');
});

test('commands: results on stdout alone, nothing secret, a cleanup at the end', async () => {
  const { exitCode, stdout, stderr } = await run('commands.ts', 'inspect');
  assert.equal([exitCode, stdout], [0, process.platform === 'darwin' ? 'Darwin\n' : 'Linux\n']);
  assert.match(stderr, 'the folder is missing, the password is ***\nthe run is done\n');
  assert.not.match(stderr, 'hunter2');
  assert.match(stderr, 'nothing changed');
});

test('guarded: what is destructive wants a yes', async () => {
  const refused = await run('guarded.ts', 'drop', '--database', 'live');
  assert.is(refused.exitCode, 2);
  assert.match(refused.stderr, 'Remove the database live?');
  assert.match((await run('guarded.ts', 'drop', '-y')).stderr, 'drop scratch\n');
  const never = ['drop', '--database', 'production'] as const;
  for (const more of [[], ['--yes']]) {
    const checked = await run('guarded.ts', ...never, ...more);
    assert.equal([checked.exitCode, checked.stdout], [2, '']);
    assert.match(
      checked.stderr,
      /^error: the database production is never removed\n {2}do: name another one\n$/,
    );
  }
  assert.is((await run('guarded.ts', ...never, '--dry-run')).stdout, 'echo drop production\n');
  assert.is((await run('guarded.ts', 'fetch')).exitCode, 0);
});

test('configured: options for all tasks, checked once', async () => {
  const { exitCode, stderr } = await run('configured.ts', '--stage', 'live', 'deploy');
  assert.equal([exitCode, times(stderr, 'deploy to live')], [0, 1]);
  assert.is((await run('configured.ts', 'deploy', '--stage', 'attic')).exitCode, 2);
  assert.is((await run('configured.ts', '--version')).stdout, '1.0.0\n');
});

test('surroundings: commands run in the folder and with the variables of their task', async () => {
  await mkdir(join(folder, 'web'));
  const { exitCode, stderr } = await run('surroundings.ts', 'where', '--mode', 'release');
  assert.equal([exitCode, times(stderr, 'web'), times(stderr, 'mode release')], [0, 1, 1]);
});

test('finally: what was made is taken away at the end, also after a failure', async () => {
  const good = await run('finally.ts', 'check');
  assert.is(good.exitCode, 0);
  assert.ok(good.stderr.indexOf('\n  checked\n') < good.stderr.indexOf('\n  database removed\n'));
  const bad = await run('finally.ts', 'check', '--broken');
  assert.equal([bad.exitCode, times(bad.stderr, 'database removed')], [3, 1]);
});

test('ready: who needs the server starts when it is there, and the run ends with it', async () => {
  const { exitCode, stderr } = await run('ready.ts', 'check');
  assert.equal([exitCode, times(stderr, 'the server is there')], [0, 1]);
  const ready = stderr.search(/listening on \d+\n/);
  assert.ok(ready >= 0 && ready < stderr.indexOf('\n  the server is there\n'));
});

test('up-to-date: a second time nothing is done, a changed input or --force does it again', async () => {
  await mkdir(join(folder, 'source'));
  await writeFile(join(folder, 'source', 'a.txt'), 'a');
  const command = '$ mkdir -p out';
  assert.is(times((await run('up-to-date.ts', 'build')).stderr, command), 1);
  assert.is(readFileSync(join(folder, 'out', 'all.txt'), 'utf8'), 'a');
  const again = await run('up-to-date.ts', 'build', '--explain');
  assert.is(times(again.stderr, command), 0);
  assert.match(again.stderr, 'build is up to date');
  await writeFile(join(folder, 'source', 'draft-b.txt'), 'b');
  assert.is(times((await run('up-to-date.ts', 'build')).stderr, command), 0);
  await writeFile(join(folder, 'source', 'c.txt'), 'c');
  assert.is(times((await run('up-to-date.ts', 'build')).stderr, command), 1);
  assert.is(times((await run('up-to-date.ts', 'build', '--force')).stderr, command), 1);
  assert.is(times((await run('up-to-date.ts', 'folder')).stderr, '$ mkdir made'), 1);
  assert.is(times((await run('up-to-date.ts', 'folder')).stderr, '$ mkdir made'), 0);
});

test('resume: what the failed run had done is left out', async () => {
  const failed = await run('resume.ts', 'deploy');
  assert.equal([failed.exitCode, times(failed.stderr, 'uploaded')], [1, 1]);
  await writeFile(join(folder, 'ready'), '');
  const { exitCode, stderr } = await run('resume.ts', 'deploy', '--resume');
  assert.equal([exitCode, times(stderr, 'uploaded'), times(stderr, 'deployed')], [0, 0, 1]);
});

test('what the README shows of graphs, reports and completion works with an example', async () => {
  const graph = await run('needs.ts', 'graph', 'release');
  assert.match(graph.stdout, /^(graph|flowchart) /m);
  assert.match((await run('needs.ts', 'graph', 'release', '--format', 'dot')).stdout, 'digraph');
  const reported = await run('needs.ts', 'release', '--report', 'run.html', '--trace', 'run.json');
  assert.is(reported.exitCode, 0, reported.stderr);
  assert.match(readFileSync(join(folder, 'run.html'), 'utf8'), /<html/i);
  assert.ok(existsSync(join(folder, 'run.json')));
  const completion = await run('needs.ts', 'completion', 'bash');
  assert.equal([completion.exitCode, completion.stdout.includes('complete')], [0, true]);
  assert.is((await run('needs.ts', '--choose')).exitCode, 2);
});

test('every example is run here and named in the README', () => {
  const files = readdirSync(examples).filter((name) => name.endsWith('.ts'));
  assert.equal([...ran].sort(), files.sort());
  const readme = readFileSync(join(root, 'lib', 'runner', 'README.md'), 'utf8');
  for (const file of files) assert.ok(readme.includes(`examples/${file}`), file);
});

test.run();
