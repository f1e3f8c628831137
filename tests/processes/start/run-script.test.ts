import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { devNull } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { passedOn } from '../../../lib/ground/variables.ts';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { makeProgram, type Program } from '../../../lib/runner/tests/rig/program.ts';
import { outputOf } from '../../rig/programs.ts';

let program: Program;
test.before.each(async () => {
  program = await makeProgram();
});

async function answer(argv: readonly string[]): Promise<string> {
  const { exitCode: code, stdout, stderr } = await program.run(argv);
  assert.is(code, 0, stderr);
  assert.is(stderr, '');
  return stdout;
}

/** A run that has opened its `.env`, a pipe, which is given this text and its end, or nothing. */
async function piped(text?: string) {
  const file = join(program.folder, '.env');
  execFileSync('mkfifo', [file]);
  const words = ['program.mjs', 'install', 'app1', '--output', 'plain', '--verbose'];
  const child = spawn('node', words, { cwd: program.folder, env: program.env, timeout: 60_000 });
  const writer = await open(file, 'w');
  if (text !== undefined) await writer.write(text).then(() => writer.close());
  return { child, ended: ended(child).finally(() => text ?? writer.close()) };
}

test('--list and -l are other forms of list, also beside a task and with --json', async () => {
  const text = await answer(['list']);
  assert.match(text, /^deploy\n {2}install-app <app> +install an application \(also install\)\n/m);
  for (const argv of [['--list'], ['-l'], [], ['install', '--list'], ['-l', '--env', 'x']])
    assert.is(await answer(argv), text, argv.join(' '));
  const json = await answer(['list', '--json']);
  assert.is(JSON.parse(json)[0].name, 'install-app');
  assert.is(await answer(['-l', '--json']), json);
});

test('the command line wins over the environment, that over .env, that over the default', async () => {
  const installed = async (argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> => {
    const words = ['install', 'app1', '--output', 'plain', '--verbose', ...argv];
    const { stderr } = await program.run(words, env);
    return /^.*installed app1 (\w+)$/m.exec(stderr)?.[1] ?? stderr;
  };
  assert.is(await installed([]), 'dev');
  program.write('.env', `\uFEFFexport BASE=fi\r\n# a comment\r\nPROGRAM_ENV="\${BASE}le" # a comment\r\n`);
  assert.is(await installed([]), 'file');
  assert.is(await installed([], { PROGRAM_ENV: 'variable' }), 'variable');
  assert.is(await installed(['--env', 'words'], { PROGRAM_ENV: 'variable' }), 'words');
  // As secret managers make it.
  rmSync(join(program.folder, '.env'));
  const run = await piped('PROGRAM_ENV=pipe');
  assert.match((await run.ended).stderr, 'installed app1 pipe');
});

test('a run that waits for a .env that is a pipe ends at a signal', async () => {
  const run = await piped();
  run.child.kill();
  assert.is((await run.ended).exitCode, 143);
});

test('a .env that cannot be read is an error', async () => {
  const file = join(program.folder, '.env');
  for (const [make, reason] of [
    [() => program.write('.env', 'A=\0'), 'it is not text in UTF-8\n  do: make it a file of '],
    [() => mkdirSync(file), ''],
  ] as const) {
    make();
    const { exitCode, stderr } = await program.run(['install', 'app1']);
    assert.is(exitCode, 1);
    assert.match(stderr, new RegExp(`^error: cannot read .*\\.env\\n  why: ${reason}`));
    rmSync(file, { recursive: true });
  }
});

test('./run is found through links, from any folder, whatever CDPATH says', async () => {
  const bin = join(program.folder, '../links');
  mkdirSync(join(bin, 'lib'), { recursive: true });
  symlinkSync(join(root, 'run'), join(bin, 'tasks'));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const at = (script: string) =>
    program.command('sh', ['-c', script, 'sh', root, bin], { CDPATH: `${dirname(root)}:${bin}:${root}` });
  for (const script of [
    '"$2/tasks" --version',
    'cd "$1" && ./run --version',
    'cd "$1/lib" && ../run --version',
    'cd "$1" && lib/../run --version',
    'cd "$1" && sh run --version',
    'PATH="$1:$PATH"; run --version',
  ]) {
    const { exitCode: code, stdout, stderr } = await at(script);
    assert.is(code, 0, stderr);
    assert.is(stdout, `${version}\n`, script);
  }
});

test('a path on the command line starts from the folder of the caller, where plain commands can be pasted', async () => {
  for (const launcher of ['../run', 'node --import tsx ../tasks.ts']) {
    const script = `cd "$1/lib" && ${launcher} backup-vault ./kept --dry-run`;
    const { stdout, stderr } = await program.command('sh', ['-c', script, 'sh', root]);
    assert.match(stdout, /folder="\$PWD\/lib\/kept"/, stderr);
    const [first] = stdout.split('\n');
    const pasted = await program.command('sh', ['-c', `cd "$1/lib"; ${first}; pwd`, 'sh', root]);
    assert.is(pasted.stdout, `${root}\n`, launcher);
  }
});

test('a clone has no Windows line ends with core.autocrlf', async () => {
  const folder = temporaryFolder();
  const [repository, clone] = [join(folder, 'repository'), join(folder, 'clone')];
  const env = { ...passedOn(process.env), GIT_CONFIG_GLOBAL: devNull, GIT_CONFIG_NOSYSTEM: '1' };
  const git = (...words: readonly string[]) => outputOf({ folder, env }, 'git', words);
  await git('init', '--quiet', '--bare', repository);
  const here = ['--git-dir', repository, '--work-tree', root, '-c', 'core.bare=false'];
  await git(...here, 'add', '--all');
  const author = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
  await git(...here, ...author, 'commit', '--quiet', '--no-verify', '--message', 'all');
  await git('clone', '--quiet', '--config', 'core.autocrlf=true', repository, clone);
  const lines = (await git('-C', clone, 'ls-files', '--eol')).split('\n').slice(0, -1);
  assert.ok(lines.length > 500, `${lines.length} files`);
  const windows = lines.filter((line) => /^[^\t]*(?:crlf|mixed)/.test(line));
  assert.equal(windows, []);
});

test('usage lines and advice name the launcher as it was called', async () => {
  for (const [from, program, words, shown] of [
    ['.', './run', [], './run'],
    ['charts/backend', '../../run', [], '../../run'],
    ['.', process.execPath, ['--import', 'tsx', 'tasks.ts'], 'npx tsx tasks.ts'],
    ['docs', process.execPath, ['--import', 'tsx', '../tasks.ts'], 'npx tsx ../tasks.ts'],
  ] as const) {
    const place = { folder: join(root, from), env: process.env };
    const help = await outputOf(place, program, [...words, 'install-app', '--help']);
    assert.ok(help.startsWith(`usage: ${shown} install-app <app>`), help);
  }
});

test.run();
