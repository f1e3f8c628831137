import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { makeProgram, type Program } from '../../../lib/runner/tests/rig/program.ts';
import { inClone } from '../bootstrap/door-fixture.ts';

let program: Program;
test.before.each(async () => {
  program = await makeProgram();
});
test.after.each(() => program.remove());

/** What a command line prints. */
async function answer(argv: readonly string[]): Promise<string> {
  const { exitCode: code, stdout, stderr } = await program.run(argv);
  assert.is(code, 0, stderr);
  assert.is(stderr, '');
  return stdout;
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

test('a closed output pipe is no error', async () => {
  const script = 'set -o pipefail; node --import tsx tasks.ts list | true';
  const { exitCode: code, stderr } = await program.command('bash', ['-c', script]);
  assert.is(code, 0, stderr);
});

test('the command line wins over the environment, that over .env, that over the default', async () => {
  const installed = async (argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> => {
    const { exitCode: code, stderr } = await program.run(
      ['install', 'app1', '--output', 'plain', '--verbose', ...argv],
      env,
    );
    assert.is(code, 0, stderr);
    return /^.*installed app1 (\w+)$/m.exec(stderr)?.[1] ?? stderr;
  };
  assert.is(await installed([]), 'dev');
  program.write('.env', '# a comment\nPROGRAM_ENV="file"\n');
  assert.is(await installed([]), 'file');
  assert.is(await installed([], { PROGRAM_ENV: 'variable' }), 'variable');
  assert.is(await installed(['--env', 'words'], { PROGRAM_ENV: 'variable' }), 'words');
  program.write('.env', `\uFEFFexport BASE=fi\r\nPROGRAM_ENV=\${BASE}le # a comment\r\n`);
  assert.is(await installed([]), 'file');
  for (const [content, why] of [
    ['A=1\nhunter2\n', 'line 2 is not NAME=value, or its closing quote is missing or not at the end'],
    ['A=\0', 'it is not text in UTF-8'],
  ]) {
    program.write('.env', String(content));
    const { exitCode: code, stderr } = await program.run(['install', 'app1']);
    assert.is(code, 1);
    assert.match(
      stderr,
      new RegExp(`^error: cannot read .*\\.env\\n  why: ${why}\\n  do: fix it and run again\\n$`),
    );
  }
  rmSync(join(program.folder, '.env'));
  mkdirSync(join(program.folder, '.env'));
  const { exitCode: code, stderr } = await program.run(['install', 'app1']);
  assert.is(code, 1);
  assert.match(stderr, /^error: cannot read .*\.env\n/);
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
    const pasted = await program.command('sh', [
      '-c',
      `cd "$1/lib"; ${stdout.split('\n')[0]}; pwd`,
      'sh',
      root,
    ]);
    assert.is(pasted.stdout, `${root}\n`, launcher);
  }
});

test('a completion script that asks on a fresh clone installs nothing', () =>
  inClone(async ({ npm, start, calls }) => {
    npm('exit 0');
    const { code, stdout, stderr } = await start(['__complete']).end;
    assert.is(code, 1);
    assert.is(stdout + stderr, '');
    assert.equal(calls(), []);
  }));

test.run();
