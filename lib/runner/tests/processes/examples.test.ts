import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../ground/project.ts';
import { type Ended, loader, runFile } from '../rig/ended.ts';
import { folder, useFolder } from '../rig/folder.ts';

const examples = join(root, 'lib', 'runner', 'examples');

/* Examples run in a folder that is empty but for what they make themselves. */
useFolder(test);

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
});

test('arguments: by place, by name, as they are; options for all tasks', async () => {
  const words = ['copy', 'a.txt', 'b.txt', '--to', 'backup', '-v', '2', '--', '--preserve'];
  const full = await run('arguments.ts', ...words);
  assert.match(full.stderr, 'cp --preserve a.txt b.txt test/backup\n');
  assert.match(full.stderr, 'keep 2, none\n');
  assert.is(times(full.stderr, 'compare'), 1);
  assert.match((await run('arguments.ts', '-s', 'live', 'cp', 'a', '--to=b')).stderr, 'cp a live/b\n');
});

test('needs: before their dependents, a shared one once, and what the README shows of reports and graphs', async () => {
  const reports = ['--report', 'run.html', '--trace', 'run.json'];
  const { exitCode, stderr } = await run('needs.ts', 'release', ...reports);
  assert.is(exitCode, 0);
  for (const line of ['install', 'lint', 'build client', 'build server', 'publish'])
    assert.is(times(stderr, line), 1, line);
  const ends = [...stderr.matchAll(/^✓ (.*) [\d.]+s$/gm)].map((match) => match[1] ?? '');
  assert.is(ends[0], 'install');
  assert.equal(ends.slice(-2), ['publish', 'release']);
  assert.match(readFileSync(join(folder, 'run.html'), 'utf8'), /<html/i);
  assert.ok(existsSync(join(folder, 'run.json')));
  const graph = await run('needs.ts', 'graph', 'release');
  assert.match(graph.stdout, /^(graph|flowchart) /m);
});

test('commands: results on stdout alone, nothing secret, a cleanup at the end', async () => {
  const { exitCode, stdout, stderr } = await run('commands.ts', 'inspect');
  assert.equal([exitCode, stdout], [0, process.platform === 'darwin' ? 'Darwin\n' : 'Linux\n']);
  assert.match(stderr, 'the folder is missing, the password is ***\nthe run is done\n');
  assert.not.match(stderr, 'hunter2');
  assert.match(stderr, 'nothing changed');
  const build = await run('commands.ts', 'build', '--mode', 'release');
  assert.equal([build.exitCode, times(build.stderr, 'mode release')], [0, 1]);
});

test('commands: what is destructive wants a yes, after its check', async () => {
  assert.match((await run('commands.ts', 'drop', '-y')).stderr, 'drop scratch\n');
  const checked = await run('commands.ts', 'drop', '--database', 'production', '--yes');
  assert.equal([checked.exitCode, checked.stdout], [2, '']);
  assert.match(
    checked.stderr,
    /^error: the database production is never removed\n {2}do: name another one\n$/,
  );
});

test('servers: up before who needs them, taken away at the end, also after a failure', async () => {
  const { exitCode, stderr } = await run('servers.ts', 'check');
  assert.is(exitCode, 0);
  const places = [/listening on \d+\n/, '\n  database made\n', '\n  checked\n', '\n  database removed\n'].map(
    (line) => stderr.search(line),
  );
  assert.not(places.includes(-1), stderr);
  assert.equal(
    places,
    [...places].sort((left, right) => left - right),
  );
  const bad = await run('servers.ts', 'check', '--broken');
  assert.equal([bad.exitCode, times(bad.stderr, 'database removed')], [3, 1]);
});

test('again: nothing is done twice until an input changes; a failed run resumes where it stopped', async () => {
  await mkdir(join(folder, 'source'));
  await writeFile(join(folder, 'source', 'a.txt'), 'a');
  const built = '$ mkdir -p out';
  const failed = await run('again.ts', 'deploy');
  assert.equal([failed.exitCode, times(failed.stderr, built), times(failed.stderr, 'uploaded')], [1, 1, 1]);
  await writeFile(join(folder, 'ready'), '');
  await writeFile(join(folder, 'source', 'draft-b.txt'), 'b');
  const resumed = await run('again.ts', 'deploy', '--resume', '--explain');
  assert.match(resumed.stderr, 'build is up to date: 1 input and its status command say so');
  assert.equal([times(resumed.stderr, 'uploaded'), times(resumed.stderr, 'deployed')], [0, 1]);
  await writeFile(join(folder, 'source', 'c.txt'), 'c');
  assert.is(times((await run('again.ts', 'build')).stderr, built), 1);
});

test('every example is run here and named in the README', () => {
  const files = readdirSync(examples).filter((name) => name.endsWith('.ts'));
  assert.equal([...ran].sort(), files.sort());
  const readme = readFileSync(join(root, 'lib', 'runner', 'README.md'), 'utf8');
  for (const file of files) assert.ok(readme.includes(`examples/${file}`), file);
});

test.run();
