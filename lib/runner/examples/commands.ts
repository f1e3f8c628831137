import { runCli, TaskError, task, UsageError } from '../runner.ts';

/*
 * Commands, and what a task does beyond them: `commands.ts inspect`, `commands.ts build --mode release`, `commands.ts
 * drop --yes`.
 */
const inspect = task({
  name: 'inspect',
  description: 'look at the machine',
  commands: () => ['uname -s', 'getconf _NPROCESSORS_ONLN'],
  run: async ({ $, print, log, progress, report, secret, signal, onRunEnd }) => {
    // At the end of the run in any case, also after a failure or Ctrl-C; the last one first.
    onRunEnd((outcome) => log(`the run is ${outcome}`));
    // From now on `***` in everything that is written, in its base64 form too.
    secret('hunter2');
    progress('asking the machine');
    // Values are quoted. Output goes to the log unless `quiet`; a command that fails throws with its own exit code.
    const { stdout: system } = await $({ quiet: true })`uname -s`;
    const { exitCode } = await $({
      nothrow: true,
      quiet: true,
      timeoutMs: 10_000,
    })`test -d ${'/no such folder'}`;
    log(`the folder ${exitCode === 0 ? 'is there' : 'is missing'}, the password is hunter2`);
    signal.throwIfAborted();
    // Expected, so it is no bug: shown as three lines.
    if (system === '')
      throw new TaskError({ what: 'no name', why: 'uname said nothing', advice: 'ask again' });
    // A result: the only thing on stdout.
    print(system.trim());
    report('unchanged');
  },
});

const build = task({
  name: 'build',
  description: 'build the pages',
  args: { mode: { type: 'choice', choices: ['debug', 'release'], default: 'debug', description: 'how' } },
  // Three attempts at most, half a second and then a second between them; each may take a minute (exit code 124
  // afterwards).
  retries: 2,
  retryDelayMs: 500,
  timeoutMs: 60_000,
  commands: ({ args }) => [`echo "mode ${args.mode}"`],
});

const drop = task({
  name: 'drop',
  description: 'remove the database',
  args: { database: { type: 'string', default: 'scratch', description: 'which' } },
  // Looked at first, and not in a dry run.
  check: ({ args }) => {
    if (args.database !== 'production') return;
    throw new UsageError({ what: 'the database production is never removed', advice: 'name another one' });
  },
  // Asked before anything runs. `--yes` answers; without a terminal its lack is an error (exit code 2).
  confirm: ({ args }) => `Remove the database ${args.database}?`,
  commands: ({ args }) => [`echo drop ${args.database}`],
});

process.exitCode = await runCli([inspect, build, drop], process.argv.slice(2), { program: 'commands.ts' });
