import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findProgram } from '../../../../tests/rig/programs.ts';
import { makeProgram, type Program } from '../rig/program.ts';
import { PseudoTerminal } from '../rig/pseudo-terminal.ts';

const shells = ['bash', 'zsh', 'fish'] as const;

let program: Program;
test.before(async () => {
  program = await makeProgram();
  for (const shell of shells) {
    const { exitCode: code, stdout, stderr } = await program.run(['completion', shell]);
    assert.is(code, 0, stderr);
    program.write(`../${shell}`, stdout);
  }
  program.write('../bash-test', bashTest);
  mkdirSync(join(program.folder, 'charts', 'app'), { recursive: true });
  program.write('other.ts', 'throw new Error("never to be started");\n');
  const names = ['install-app', 'install', 'label', 'list', 'graph', 'completion'];
  assert.equal(await complete(['./run', '']), names);
});

/** Sets what readline would set, and calls the function that is registered for the command. */
const bashTest = `
source ../bash
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
[[ $(complete -p "$1" 2>/dev/null || complete -p "\${1##*/}") =~ -F\\ ([^ ]+) ]]
"\${BASH_REMATCH[1]}" "$1"
printf '%s\\n' "\${COMPREPLY[@]}"
`;

/** Shows the line after a completion, between marks. */
const zshTest = `
PS1='ready>'
autoload -Uz compinit && compinit -u -D
source ../zsh
show() { zle expand-or-complete; print -r -- "<<$BUFFER>>"; BUFFER=; zle redisplay }
zle -N show
bindkey '^X' show
zstyle ':completion:*' list-separator '--'
`;

async function complete(words: readonly string[]): Promise<string[]> {
  const { exitCode, stdout, stderr } = await program.command('bash', ['../bash-test', ...words]);
  assert.equal([exitCode, stderr], [0, '']);
  return stdout.split('\n').filter(Boolean);
}

function itOf(shell: (typeof shells)[number]): typeof test | typeof test.skip {
  if (findProgram(`COMPLETED_${shell}`, shell) !== undefined) return test;
  process.stdout.write(`left out: completion in ${shell}, which is not installed\n`);
  return test.skip;
}

test('bash: every form of launching', async () => {
  const tsx = ['npx tsx tasks.ts', 'npx --yes tsx ./tasks.ts', 'tsx tasks.ts', 'tsx HERE/tasks.ts'];
  const node = ['node --import tsx tasks.ts', 'node --enable-source-maps --import tsx tasks.ts'];
  for (const line of ['./run', 'HERE/run', ...tsx, ...node]) {
    const words = line.split(' ').map((word) => word.replace('HERE', program.folder));
    assert.equal(await complete([...words, 'label', '']), ['app1', 'app2'], line);
  }
});

for (const shell of shells) {
  const inShell = (script: string) => {
    const options = { bash: ['--norc'], zsh: ['-f'], fish: ['--no-config'] }[shell];
    const begin = shell === 'zsh' ? 'autoload -Uz compinit && compinit -u -D;' : '';
    const text = shell === 'fish' ? script.replaceAll('$?', '$status') : script;
    return program.command(shell, [...options, '-c', begin + text]);
  };
  const it = itOf(shell);

  it(`${shell}: from a folder below, the launcher is called by its name`, async () => {
    const { stdout, stderr } = await inShell(`cd charts/app; source ../../../${shell}
run install-app app2
run nonsense; test $? = 2 || echo wrong exit code
cd /; run list; test $? = 127 || echo wrong exit code`);
    assert.is(stdout, '', stderr);
    assert.match(stderr, /^installed app2 dev$/m);
    assert.match(stderr, 'unknown task `nonsense`');
    assert.match(stderr, 'error: no run of a program whose completion script was sourced');
  });

  it(`${shell}: another clone is started and completed only once its own script is appended`, async () => {
    const other = await makeProgram();
    const launcher = join(other.folder, 'run');
    const starts = program.nodeStarts();
    assert.equal(await complete([launcher, 'lab']), []);
    assert.is(program.nodeStarts(), starts);
    const own = (await other.run(['completion', shell])).stdout;
    other.write('../other', own);
    other.write('apps.txt', 'elsewhere\n');
    const { stdout, stderr } = await inShell(`source ../${shell}; cd '${other.folder}'
run list; test $? = 127 || echo wrong exit code
source ../other; run install-app elsewhere
cd '${program.folder}'; run install-app app1`);
    assert.is(stdout, '', stderr);
    assert.match(stderr, /^installed elsewhere dev$/m);
    assert.match(stderr, /^installed app1 dev$/m);
    if (shell !== 'bash') return;
    program.write('../bash-clones', own + bashTest);
    const completed = await program.command('bash', ['../bash-clones', launcher, 'label', '']);
    assert.is(completed.stdout, 'elsewhere\n');
  });
}

test('bash: the launcher by its name is completed from below, and gives way to a program of that name', async () => {
  program.write(
    '../bash-below',
    `cd charts/app; source ../../../bash; ${bashTest.replace('source ../bash', '')}`,
  );
  const { stdout } = await program.command('bash', ['../bash-below', 'run', 'inst']);
  assert.is(stdout, 'install-app\ninstall\n');
  const theirs = await program.command('bash', ['-c', 'run() { echo theirs; }; source ../bash; run list']);
  assert.is(theirs.stdout, 'theirs\n');
});

test('bash: values of options, where readline takes them apart', async () => {
  for (const [line, ...values] of [
    ['./run -e p', 'prod'],
    ['./run --env =', 'dev', 'prod'],
    ['./run --env = pr', 'prod'],
    ['./run install --env = stage -t co', 'core-stage'],
  ])
    assert.equal(await complete(line?.split(' ') ?? []), values, line);
});

test('bash: a program that is not ours is never started, and keeps its own completion', async () => {
  const starts = program.nodeStarts();
  for (const line of ['node other.ts ', 'tsx other.ts ', 'npx cowsay ', 'node '])
    assert.equal(await complete(line.split(' ')), []);
  program.write('../bash-other', `_other() { COMPREPLY=(theirs); }; complete -F _other node; ${bashTest}`);
  const { stdout } = await program.command('bash', ['../bash-other', 'node', 'other.ts', '']);
  assert.is(stdout, 'theirs\n');
  assert.is(program.nodeStarts(), starts);
});

test('bash: where nothing fits, files are completed by readline itself', async () => {
  const terminal = new PseudoTerminal('bash --norc -i', { cwd: program.folder, env: program.env });
  terminal.type("source ../bash; PS1='ready''>'\n");
  await terminal.shows('ready>');
  terminal.type('./run install --values app\t');
  await terminal.shows('--values apps.txt');
  terminal.type('\u0015./run --env=pr\t');
  await terminal.shows('./run --env=prod ');
  terminal.type('\u0015./run install app1 -- app\t');
  await terminal.shows('-- apps.txt');
  terminal.type('\u0015exit\n');
  await terminal.exit;
});

itOf('zsh')('zsh: words with descriptions, values and files', async () => {
  program.write('../.zshrc', zshTest);
  const env = { ...program.env, ZDOTDIR: join(program.folder, '..') };
  const terminal = new PseudoTerminal('zsh -i', { cwd: program.folder, env });
  await terminal.shows('ready>');
  for (const [line, completed] of [
    ['./run lab', './run label '],
    ['./run --env=pr', './run --env=prod '],
    ['npx tsx tasks.ts comp', 'npx tsx tasks.ts completion '],
    ['node --import tsx tasks.ts install --no-at', 'node --import tsx tasks.ts install --no-atomic '],
    ['./run install app1 -- apps', './run install app1 -- apps.txt '],
    ['./run install --values=apps', './run install --values=apps.txt '],
    ['node oth', 'node other.ts '],
  ]) {
    terminal.type(`${line}\u0018`);
    await terminal.shows(`<<${completed}>>`);
  }
  terminal.type('./run l\t');
  await terminal.shows(/label +-- several required arguments\s+list +-- show all tasks/);
  terminal.type('\u0015exit\n');
  await terminal.exit;
});

itOf('fish')('fish: words with descriptions, values and files', async () => {
  for (const [line, ...expected] of [
    ['./run l', 'label\tseveral required arguments', 'list\tshow all tasks'],
    ['./run insta', 'install-app\tinstall an application', 'install\tinstall an application (install-app)'],
    ['./run --env=p', '--env=prod'],
    ['npx tsx tasks.ts label app', 'app1', 'app2'],
    ['node --import tsx tasks.ts install --no-at', '--no-atomic\tin parts'],
    ['./run install app1 -- apps', 'apps.txt'],
    ['./run install --values apps', 'apps.txt'],
    ['node oth', 'other.ts'],
  ]) {
    const script = `source ../fish; complete -C '${line}'`;
    const { exitCode, stdout, stderr } = await program.command('fish', ['--no-config', '-c', script]);
    assert.is(exitCode, 0, stderr);
    assert.equal(stdout.split('\n').filter(Boolean), expected, line);
  }
});

test('another shell is a usage error', async () => {
  const { exitCode: code, stderr } = await program.run(['completion', 'tcsh']);
  assert.is(code, 2);
  assert.match(stderr, 'unknown shell `tcsh`');
});

test.run();
