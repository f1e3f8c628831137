import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable, Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BackPressure } from '../../child-output.ts';
import { MissingToolError } from '../../runner.ts';
import type { Shell } from '../../shell.ts';
import { temporaryFolder } from '../rig/folder.ts';
import { failureOf } from '../rig/refusal.ts';
import { plainShell, type Show } from '../rig/shell.ts';

const folder = temporaryFolder();
mkdirSync(join(folder, 'place'));
symlinkSync(join(folder, 'place'), join(folder, 'link'));

const $ = plainShell();

/** A shell with what it has shown and the commands that it has told. */
function noted(): { readonly $: Shell; readonly shown: string[]; readonly commands: string[] } {
  const [shown, commands]: [string[], string[]] = [[], []];
  const onCommand = (command: string): void => void commands.push(command);
  return {
    $: plainShell((stream, chunk) => shown.push(`${stream}: ${chunk}`), { onCommand }),
    shown,
    commands,
  };
}

test('output, echo and exit code', async () => {
  const { $, shown, commands } = noted();
  const output = await $`node -e ${'console.log("out"); console.error("err")'}`;
  assert.equal(output, { stdout: 'out\n', stderr: 'err\n', exitCode: 0, signal: null });
  assert.equal([...shown].sort(), ['stderr: err\n', 'stdout: out\n']);
  assert.equal(commands, [`node -e 'console.log("out"); console.error("err")'`]);
});

const crash = `node -e 'console.log("one"); console.error("two\\n╰──╯"); process.exit(7)'`;
const mebibyte = 1 << 20;
const tooLong = 'it is longer than the system takes: pass what is long by `input`';

for (const [name, start, exitCode, what, why] of [
  ['with its own code and last words', () => $`sh -c ${crash}`, 7, /^`sh .* failed with exit code 7$/, 'two'],
  ['as a missing tool', () => $`no-such-program --flag`, 127, /^`no-such-program` is not installed$/],
  ['as a missing tool, by exec', () => $`exec no-such-program`, 127, /is not installed$/],
  ['as a missing tool, by its path', () => $`${join(folder, 'nothing')}`, 127, /failed with exit code 127$/],
  [
    'with the folder that is not there',
    () => $({ cwd: '/no/such/folder' })`true`,
    1,
    /^`true` could not be started$/,
    'is there a folder /no/such/folder?',
  ],
  ['as too long', () => $`echo ${'x'.repeat(1 << 22)}`, 1, /^`echo x+ …` could not be started$/, tooLong],
  ['with the signal that ended it', () => $`sh -c ${'kill -TERM $$'}`, 143, /was ended by SIGTERM$/],
  ['at its time limit', () => $({ timeoutMs: 1 })`sleep 600`, 124, /not end within 0.0s$/, 'it said nothing'],
  ['printing too much', () => $({ quiet: true })`head -c ${66 * mebibyte} /dev/zero`, 1, /more than 64 MiB$/],
  ['in a pipe', () => $`false | cat`, 1, /failed with exit code 1$/],
  ['before another one', () => $`false; true`, 1, /failed with exit code 1$/],
  ['by a variable that is not set', () => $`echo $no_such_variable`, 1, /./, /unbound variable$/],
] as const)
  test(`a command fails ${name}`, async () => {
    const error = await failureOf(start);
    assert.is(error.exitCode, exitCode);
    assert.is(error instanceof MissingToolError, String(what).includes('not installed'));
    assert.match(error.what, what);
    if (why !== undefined) assert.match(error.why, why);
  });

test('with nothrow a failed command gives its output', async () => {
  const { exitCode, stdout, stderr } = await $({ nothrow: true })`sh -c ${crash}`;
  assert.equal([exitCode, stdout, stderr], [7, 'one\n', 'two\n╰──╯\n']);
  const killed = await $({ nothrow: true })`sh -c ${'kill -KILL $$'}`;
  assert.equal([killed.exitCode, killed.signal], [137, 'SIGKILL']);
  const given = await $({ quiet: true, nothrow: true })`head -c ${66 * mebibyte} /dev/zero`;
  assert.ok(given.stdout.length <= 65 * mebibyte);
});

test('words arrive as they were given, and a value that is missing is a mistake', async () => {
  const given = ['a b', '', 'a\nb', ...'it\'s $HOME `x` * ü€😀 \\ " --x=y ~ {a,b} #c'.split(' ')];
  const print = 'process.stdout.write(JSON.stringify(process.argv.slice(1)))';
  assert.equal(JSON.parse((await $`node -e ${print} -- ${given}`).stdout), given);
  for (const value of [undefined, ['x', null]])
    assert.throws(() => $`a ${value}`, /expected a value after `a `, got/);
});

test('a command gets the given environment, and PWD is its folder', async () => {
  const show = 'console.log(process.env.OWN, process.env.PWD, process.cwd())';
  for (const [cwd, PWD, expected] of [
    [folder, '/somewhere/else', folder],
    [join(folder, 'link'), '/somewhere/else', join(folder, 'place')],
    // The way by which the user came is kept, as a shell keeps it.
    [join(folder, 'place'), join(folder, 'link'), join(folder, 'link')],
    [join(folder, 'place'), join(folder, 'place', '..', 'place'), join(folder, 'place')],
  ]) {
    const { stdout } = await $({ cwd, env: { ...process.env, OWN: 'a b', PWD } })`node -p ${show}`;
    assert.is(stdout.split('\n')[0], `a b ${expected} ${realpathSync(cwd ?? '')}`);
  }
});

test('bash does not read the user’s startup file, as it does under rshd, whose input is a socket, too', async () => {
  writeFileSync(join(folder, '.bashrc'), 'echo from the startup file\n');
  const env = { ...process.env, HOME: folder, SHLVL: undefined };
  assert.is((await $({ env, input: 'x' })`cat`).stdout, 'x');
});

test('what no program can be given is said without its value', async () => {
  const hidden = 'shown-by-nobody';
  for (const [start, expected] of [
    [() => $({ env: { A: `${hidden}\0b` } })`true`, 'cannot start a command with the variable `A`'],
    [() => $`true ${`${hidden}\0b`}`, 'cannot start a command'],
  ] as const) {
    const error = await failureOf(start);
    assert.is(error.what, expected);
    assert.match(error.advice, 'leave it out');
    assert.not.match(error.message, hidden);
  }
});

test('stdin is empty, a text or a stream', async () => {
  for (const input of [undefined, '', 'text', Buffer.from('text'), Readable.from(['te', 'xt'])])
    assert.is((await $({ input })`cat`).stdout, input ? 'text' : '');
  // A command that does not read its input is no failure.
  assert.is((await $({ input: 'x'.repeat(mebibyte) })`true`).exitCode, 0);
});

test('with quiet nothing is shown, and all is captured; the last line is shown without a line break', async () => {
  const { $, shown, commands } = noted();
  const whole = await $({ quiet: true })`head -c ${60 * mebibyte} /dev/zero`;
  assert.is(whole.stdout.length, 60 * mebibyte);
  assert.equal([...shown, ...commands], []);
  await $`node -e ${'process.stdout.write("open")'}`;
  assert.equal(shown, ['stdout: open', 'stdout: \n']);
});

test('a command leads its own group, and can be read while it runs', async () => {
  const command = $({ nothrow: true, quiet: true })`echo up; sleep 600`;
  await new Promise((resolve) => command.stdout.once('data', resolve));
  process.kill(-(command.pid ?? 0), 'SIGTERM');
  assert.is((await command).exitCode, 143);
});

test('what is left in the background does not keep a command from ending', async () => {
  const ends = async (held: string): Promise<void> => {
    const command = $`sh -c ${`sleep 600 ${held} & echo $!`}`;
    // Pauses what has ended.
    createInterface({ input: command.stdout }).resume();
    process.kill(Number((await command).stdout), 'SIGKILL');
  };
  await Promise.all(['', '> /dev/null', '2> /dev/null'].map(ends));
});

test('of a logged command the end is kept', async () => {
  const { $, shown } = noted();
  const output = await $`seq 1000000`;
  assert.match(output.stdout, /^\d+\n/);
  assert.ok(output.stdout.endsWith('\n1000000\n'));
  assert.ok(output.stdout.length > 1_000_000 && output.stdout.length < 1_200_000);
  assert.is(shown.join('').replaceAll('stdout: ', '').length, 6_888_896);
});

for (const [how, goOn] of [
  ['it is written', (_: BackPressure, take: () => void) => take()],
  ['its reader is gone', (_: BackPressure, __: () => void, target: Writable) => target.destroy()],
  ['the run stops, which drops the rest', (pressure: BackPressure) => pressure.release()],
] as const)
  test(`no command is read while what was read cannot be written, until ${how}`, async () => {
    const pressure = new BackPressure();
    let take: (() => void) | undefined;
    const target = new Writable({
      write: (_chunk, _encoding, done) => {
        if (take === undefined) take = done;
        else done();
      },
    });
    const received = [0, 0];
    const print = (index: number) => {
      const show: Show = (_stream, chunk) => {
        received[index] = (received[index] ?? 0) + chunk.length;
        if (target.destroyed) return;
        target.write(chunk);
        pressure.note(target);
      };
      return plainShell(show, { pressure })`head -c ${16 * mebibyte} /dev/zero`;
    };
    const first = print(0);
    while (target.writableLength < mebibyte) await turn();
    const later = print(1);
    while (later.pid === undefined) await turn();
    for (let turns = 0; turns < 100; turns += 1) await turn();
    assert.ok(later.stdout.isPaused() && (received[0] ?? 0) < 2 * mebibyte, received.join());
    assert.not(pressure.overflows(target));
    goOn(pressure, () => take?.(), target);
    await Promise.all([first, later]);
    // And the line break for what has none.
    assert.equal(received, Array(2).fill(16 * mebibyte + 1));
    assert.is(pressure.overflows(target), how.startsWith('the run'));
  });

test('what only a shell can do is done by one', async () => {
  assert.is((await $`echo a | tr a b`).stdout, 'b\n');
  assert.is((await $`cd / && pwd`).stdout, '/\n');
  const env = { ...process.env, 'BASH_FUNC_date%%': '() { echo mine; }' };
  assert.is((await $({ env })`date`).stdout, 'mine\n');
  assert.is((await $`node -p ${Promise.resolve(42)}`).stdout, '42\n');
});

test.run();
