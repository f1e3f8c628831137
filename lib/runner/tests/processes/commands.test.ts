import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BackPressure } from '../../back-pressure.ts';
import { exitCodes } from '../../exit-codes.ts';
import { MissingToolError, type TaskError } from '../../runner.ts';
import type { Shell, ShellHost } from '../../shell.ts';
import { createShell } from '../../start-command.ts';
import { temporaryFolder } from '../rig/folder.ts';

const folder = temporaryFolder();
mkdirSync(join(folder, 'place'));
symlinkSync(join(folder, 'place'), join(folder, 'link'));

type Show = (stream: 'stdout' | 'stderr', chunk: Buffer | string) => void;

function shellOf(show: Show = () => {}, more: Partial<ShellHost> = {}): Shell {
  const host: ShellHost = {
    interactive: false,
    check: () => {},
    // A command already leads its own process group.
    spawn: (file, args, options) => spawn(file, args, options),
    end: ({ pid = 0 }) => void process.kill(-pid, 'SIGTERM'),
    onCommand: () => {},
    newOutput: () => ({
      stdout: { push: (chunk) => show('stdout', chunk) },
      stderr: { push: (chunk) => show('stderr', chunk) },
    }),
    redact: (text) => text,
    ...more,
  };
  return createShell(host, { cwd: folder });
}

const $ = shellOf();

/** A shell with what it has shown and the commands that it has told. */
function noted(): { readonly $: Shell; readonly shown: string[]; readonly commands: string[] } {
  const [shown, commands]: [string[], string[]] = [[], []];
  const onCommand = (command: string): void => void commands.push(command);
  return { $: shellOf((stream, chunk) => shown.push(`${stream}: ${chunk}`), { onCommand }), shown, commands };
}

function script(name: string, body: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, body);
  chmodSync(path, mode);
  return path;
}

async function failure(promise: Promise<unknown>): Promise<TaskError> {
  try {
    await promise;
  } catch (error) {
    return error as TaskError;
  }
  throw new Error('expected a failure');
}

const words = script(
  'words',
  `#!${process.execPath}\nprocess.stdout.write(JSON.stringify(process.argv.slice(2)))\n`,
);

test('output, echo and exit code', async () => {
  const { $, shown, commands } = noted();
  const output = await $`node -e ${'console.log("out"); console.error("err")'}`;
  assert.equal(output, { stdout: 'out\n', stderr: 'err\n', exitCode: 0, signal: null });
  assert.equal([...shown].sort(), ['stderr: err\n', 'stdout: out\n']);
  assert.equal(commands, [`node -e 'console.log("out"); console.error("err")'`]);
});

test('a failing command throws with its own code and last words, with nothrow it gives its output', async () => {
  // The border of a box says nothing.
  const command = 'console.log("one"); console.error("two\\n╰──╯"); process.exit(7)';
  const error = await failure($`node -e ${command}`);
  assert.is(error.exitCode, 7);
  assert.match(error.what, /^`node -e .* failed with exit code 7$/);
  assert.is(error.why, 'two');
  const output = await $({ nothrow: true })`node -e ${command}`;
  assert.equal([output.exitCode, output.stdout, output.stderr], [7, 'one\n', 'two\n╰──╯\n']);
});

test('words arrive as they were given', async () => {
  const given = [
    "it's",
    'a b',
    '$HOME',
    '`x`',
    '*',
    '',
    'ü€😀',
    'a\nb',
    ...'\\ " --x=y ~ {a,b} #c'.split(' '),
  ];
  assert.equal(JSON.parse((await $`${words} ${given}`).stdout), given);
});

test('a value that is missing is a mistake', () => {
  for (const value of [undefined, ['x', null]])
    assert.throws(() => $`a ${value}`, /expected a value after `a `, got/);
});

test('a command that is not there is a missing tool', async () => {
  const { $, commands } = noted();
  const error = await failure($`no-such-program --flag`);
  assert.is(error.name, MissingToolError.name);
  assert.is(error.exitCode, exitCodes.missingTool);
  assert.is(error.what, '`no-such-program` is not installed');
  assert.equal(commands, ['no-such-program --flag']);
  assert.is((await failure($`exec no-such-program`)).exitCode, exitCodes.missingTool);
  assert.is((await failure($`${join(folder, 'nothing')}`)).exitCode, exitCodes.missingTool);
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

test('a folder that is not there is named', async () => {
  const error = await failure($({ cwd: '/no/such/folder' })`node --version`);
  assert.match(error.what, /could not be started$/);
  assert.is(error.why, 'is there a folder /no/such/folder?');
  assert.is(error.exitCode, 1);
});

test('what no program can be given is said without its value', async () => {
  const hidden = 'shown-by-nobody';
  for (const [start, expected] of [
    [() => $({ env: { A: `${hidden}\0b` } })`true`, 'cannot start a command with the variable `A`'],
    [() => $`true ${`${hidden}\0b`}`, 'cannot start a command'],
  ] as const) {
    const error = await failure(Promise.resolve().then(start));
    assert.is(error.what, expected);
    assert.match(error.advice ?? '', 'leave it out');
    assert.not.match(error.message, hidden);
  }
});

test('a command that is too long for the system says so', async () => {
  const error = await failure($`echo ${'x'.repeat(4 << 20)}`);
  assert.match(error.what, /^`echo x+ …` could not be started$/);
  assert.is(error.why, 'it is longer than the system takes: pass what is long by `input`');
});

test('a command that dies by a signal says so', async () => {
  const error = await failure($`node -e ${'process.kill(process.pid, "SIGTERM")'}`);
  assert.is(error.exitCode, 143);
  assert.match(error.what, /was ended by SIGTERM$/);
  const output = await $({ nothrow: true })`node -e ${'process.kill(process.pid, "SIGKILL")'}`;
  assert.equal([output.exitCode, output.signal], [137, 'SIGKILL']);
});

test('a time limit ends a command with 124', async () => {
  const error = await failure($({ timeoutMs: 1 })`node -e ${'setInterval(() => {}, 1000)'}`);
  assert.is(error.exitCode, exitCodes.timeout);
  assert.match(error.what, /timed out after 0.0s$/);
});

test('stdin is empty, a text or a stream', async () => {
  assert.is((await $`cat`).stdout, '');
  assert.is((await $({ input: 'a text' })`cat`).stdout, 'a text');
  assert.is((await $({ input: '' })`cat`).stdout, '');
  assert.is((await $({ input: Buffer.from('bytes') })`cat`).stdout, 'bytes');
  assert.is((await $({ input: Readable.from(['a ', 'stream']) })`cat`).stdout, 'a stream');
  // A command that does not read its input is no failure.
  assert.is((await $({ input: 'x'.repeat(1 << 20) })`true`).exitCode, 0);
});

test('with quiet nothing is shown, the last line is shown without a line break', async () => {
  const { $, shown, commands } = noted();
  assert.is((await $({ quiet: true })`node -p 1`).stdout, '1\n');
  assert.equal([...shown, ...commands], []);
  await $`node -e ${'process.stdout.write("open")'}`;
  assert.equal(shown, ['stdout: open', 'stdout: \n']);
});

test('a command leads its own group, and can be read while it runs', async () => {
  const command = $({
    nothrow: true,
    quiet: true,
  })`exec node -e ${'console.log("up"); setInterval(() => {}, 1000)'}`;
  await new Promise((resolve) => command.stdout.once('data', resolve));
  process.kill(-(command.pid ?? 0), 'SIGTERM');
  assert.is((await command).exitCode, 143);
});

test('what is left in the background does not keep a command from ending', async () => {
  const leave = `const c = require('node:child_process').spawn('sleep', ['600'], {stdio: 'inherit'}); console.log(c.pid); c.unref()`;
  const { stdout } = await $`node -e ${leave}`;
  process.kill(Number(stdout), 'SIGKILL');
});

test('a captured output is whole up to its limit, and too much of it is an error', async () => {
  const whole = await $({ quiet: true })`head -c ${60 << 20} /dev/zero`;
  assert.is(whole.stdout.length, 60 << 20);
  const error = await failure($({ quiet: true })`head -c ${66 << 20} /dev/zero`);
  assert.match(error.what, /printed more than 64 MiB$/);
  const given = await $({ quiet: true, nothrow: true })`head -c ${66 << 20} /dev/zero`;
  assert.ok(given.stdout.length <= 65 << 20);
});

test('of a logged command the end is kept', async () => {
  const { $, shown } = noted();
  const output = await $`seq 1000000`;
  assert.match(output.stdout, /^\d+\n/);
  assert.ok(output.stdout.endsWith('\n1000000\n'));
  assert.ok(output.stdout.length > 1_000_000 && output.stdout.length < 1_200_000);
  assert.is(shown.join('').replaceAll('stdout: ', '').length, 6_888_896);
});

test('nothing more is read while what was read cannot be written', async () => {
  const pressure = new BackPressure();
  let take: (() => void) | undefined;
  let open = false;
  const target = new Writable({
    write: (_chunk, _encoding, done) => {
      if (open) done();
      else take = done;
    },
  });
  let received = 0;
  const show: Show = (_stream, chunk) => {
    received += chunk.length;
    target.write(chunk);
    pressure.note(target);
  };
  const command = shellOf(show, { pressure })`head -c ${64 << 20} /dev/zero`;
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  while (!pressure.holds(command.stdout) && received < 2 << 20) await turn();
  for (let turns = 0; turns < 100; turns += 1) await turn();
  assert.ok(received < 2 << 20, `${received} bytes`);
  open = true;
  take?.();
  await command;
  // And the line break for what has none.
  assert.is(received, (64 << 20) + 1);
});

test('what only a shell can do is done by one', async () => {
  assert.is((await $`echo a | tr a b`).stdout, 'b\n');
  assert.is((await $`cd / && pwd`).stdout, '/\n');
  assert.is((await failure($`false | cat`)).exitCode, 1);
  assert.is((await failure($`false; true`)).exitCode, 1);
  assert.match((await failure($`echo $no_such_variable`)).why ?? '', 'unbound variable');
  assert.is(
    (await $({ env: { ...process.env, 'BASH_FUNC_date%%': '() { echo mine; }' } })`date`).stdout,
    'mine\n',
  );
  assert.is((await $`node -p ${Promise.resolve(42)}`).stdout, '42\n');
});

test.run();
