import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeProgram, type Program } from '../rig/program.ts';
import { PseudoTerminal } from '../rig/pseudo-terminal.ts';
import { folder, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

let program: Program;
test.before(async () => {
  program = await makeProgram();
  program.write('../session.sh', session);
});

const escapeKey = '\u001B';
const down = '\u001B[B';
const isCursorBack = ({ raw }: PseudoTerminal): boolean =>
  raw.lastIndexOf('\u001B[?25h') > raw.lastIndexOf('\u001B[?25l');

/** Afterwards the shell tells how the terminal was left. */
const session = `
sh -c 'echo "pid=$$."; exec node program.mjs "$@"' sh "$@"; code=$?
echo; stty -a | grep -o -e '-\\?icanon' -e '-\\?echo '; exit $code
`;

function open(argv: string): PseudoTerminal {
  return new PseudoTerminal(`sh ../session.sh ${argv}`, { cwd: program.folder, env: program.env });
}

/** Ends with this code; the terminal is as it was: line by line, with echo and a cursor. */
async function ends(terminal: PseudoTerminal, code: number): Promise<void> {
  assert.is(await terminal.exit, code);
  assert.match(terminal.text, /\sicanon\s+echo\s*$/, 'raw mode is over');
  assert.ok(isCursorBack(terminal));
}

test('a task is found by typing, its choice by arrows, and the line that does the same is printed and run', async () => {
  const terminal = open('--choose');
  const first = await terminal.shows(/install-app <app>.*Esc: leave/s);
  assert.match(first, /> install-app <app> +install an application · deploy · install/);
  assert.not.match(first, 'inner');
  terminal.type('install');
  await dialogue(terminal, [
    [/task: install\s+> install-app/, '\r'],
    [/<app> \(an application\):\s+> app1\s+app2/, down],
    ['> app2', '\r'],
  ]);
  await terminal.shows('$ ./run install-app app2');
  await terminal.shows('installed app2 dev');
  await ends(terminal, 0);
});

async function dialogue(terminal: PseudoTerminal, steps: readonly (readonly [string | RegExp, string])[]) {
  for (const [shown, keys] of steps) {
    await terminal.shows(shown);
    terminal.type(keys);
  }
}

test('asks for every required argument and reports a wrong answer immediately', async () => {
  const terminal = open('--choose=1 -e prod');
  await dialogue(terminal, [
    ['Esc: leave', 'label'],
    [/> label.*\s+arrows/, '\r'],
    [/<app> .*\s+> app1/, `${down}\r`],
    ['<count> (how many):', 'x'],
    ['> x', '\r'],
    ['expected `<count>` to be a number, got `x`', '\u007F3'],
    ['> 3', '\r'],
    // Red and green are only suggestions.
    [/--colour \(the colour\):\s+> red/, 'blue'],
    ['> blue', '\r'],
  ]);
  await terminal.shows('$ ./run -e prod label app2 3 --colour=blue');
  // The terminal is itself again when the run begins: it echoes.
  await dialogue(terminal, [['label it? [y/N] ', 'y\r']]);
  assert.match(await terminal.shows('labelled app2 3 blue'), /^y\s/);
  await ends(terminal, 0);
});

test('with a task only its missing arguments are asked for, and words after -- stay', async () => {
  const terminal = open('install --choose -- --debug');
  await dialogue(terminal, [['> app1', '\r']]);
  await terminal.shows('$ ./run install app1 -- --debug');
  await terminal.shows('installed app1 dev --debug');
  await ends(terminal, 0);
});

for (const [name, key, code] of [
  ['Escape', escapeKey, 130],
  ['Ctrl-C', '\u0003', 130],
  ['Ctrl-D', '\u0004', 130],
  ['SIGTERM', undefined, 143],
] as const)
  test(`${name} gives the terminal back with ${code}, and nothing is run`, async () => {
    const terminal = open('--choose');
    const pid = Number(/pid=(\d+)\./.exec(await terminal.shows('Esc: leave'))?.[1]);
    if (key === undefined) process.kill(pid, 'SIGTERM');
    else terminal.type(key);
    await ends(terminal, code);
    assert.match(terminal.text, 'nothing was chosen');
    assert.not.match(terminal.text, 'installed');
  });

test('without a terminal it is an error with advice, exit code 2', async () => {
  const { exitCode, stdout, stderr } = await program.run(['--choose']);
  assert.equal([exitCode, stdout], [2, '']);
  const text = /^error: `--choose` needs a terminal\n {2}why: .*\n {2}do: name the task: `\.\/run list`/;
  assert.match(stderr, text);
});

test('Ctrl-Z gives the terminal to the shell as it was, and fg takes it again', async () => {
  const line = 'set -m; node program.mjs --choose; stty -a | grep -o -e "-*icanon"; read -r; fg';
  const terminal = new PseudoTerminal(`bash -c '${line}'`, { cwd: program.folder, env: program.env });
  await dialogue(terminal, [
    ['Esc: leave', 'lab'],
    ['task: lab', '\u001A'],
  ]);
  await terminal.shows(/Stopped.*\s+icanon/);
  assert.ok(isCursorBack(terminal));
  terminal.type('\n');
  await dialogue(terminal, [['task: lab', escapeKey]]);
  await terminal.shows('nothing was chosen');
  assert.is(await terminal.exit, 130);
});

/* What a task asks before it runs. */

const destroy: RigTask = { name: 'destroy', confirm: 'Remove all?', commands: ['echo gone'] };
const tasks: RigTask[] = [
  destroy,
  { name: 'wipe', confirm: 'Remove all?', commands: ['echo wiped'] },
  { name: 'reset', confirm: 'Sure?', needs: ['destroy', 'wipe'], commands: ['echo reset'] },
];
const dear: RigTask[] = [{ ...destroy, name: 'reset', confirm: { question: 'All?', word: 'production' } }];

/** Answers each question on a terminal, and returns all that was shown and the exit code. */
async function onTerminal(declared: readonly RigTask[], ...answers: readonly string[]) {
  const command = `${process.execPath} ${rig.program} reset --output plain`;
  const env = { NO_COLOR: '1', RIG_MEMORY: rig.memory, RIG_TASKS: JSON.stringify(declared) };
  const terminal = new PseudoTerminal(command, { cwd: folder, env });
  await dialogue(
    terminal,
    answers.map((answer) => [/\[y\/N\]|to confirm:/, answer]),
  );
  return { code: await terminal.exit, shown: terminal.text };
}

test('without a terminal a task asks as well that is only needed, and only the right option answers', async () => {
  const needed = [destroy, { name: 'reset', needs: ['destroy'], commands: ['true'] }];
  const wanted = '`--confirm production` answers it, `--yes` does not';
  for (const [declared, words, code, said] of [
    [needed, '', 2, 'task `destroy` asks first: Remove all?'],
    [needed, '--yes', 0, 'gone'],
    [dear, '--yes', 2, wanted],
    [dear, '--confirm development', 2, wanted],
    [dear, '--yes --confirm y', 2, wanted],
    [dear, '--confirm production', 0, 'gone'],
  ] as const) {
    const run = await rig.run(declared, ['reset', ...words.split(' ').filter(Boolean)]).ends(code);
    assert.match(run.stderr, said);
    assert.is(run.stderr.includes('gone'), code === 0);
  }
});

test('on a terminal each question is asked once, before anything runs, and any answer but yes ends the run', async () => {
  const good = await onTerminal(tasks, 'y\n', 'yes\n');
  assert.is(good.code, 0, good.shown);
  assert.is(good.shown.split('[y/N]').length, 3);
  assert.match(good.shown, /Remove all\?.*Sure\?.*gone.*reset/s);
  for (const [declared, answers, said] of [
    [tasks, ['y\n', '\n'], 'not confirmed, nothing was done'],
    [tasks, ['\x04'], /\[y\/N\] \r\nerror: not confirmed/],
    [dear, ['y\n'], 'not confirmed'],
  ] as const) {
    const bad = await onTerminal(declared, ...answers);
    assert.is(bad.code, 1);
    assert.match(bad.shown, said);
    assert.not.match(bad.shown, 'gone');
  }
  assert.is((await onTerminal(dear, 'production\n')).code, 0);
});

test.run();
