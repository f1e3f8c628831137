import { runCli, TaskError, task } from '../runner.ts';

/*
 * What a task does beyond a list of commands: `commands.ts inspect`. `commands` stays what `--dry-run` prints.
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
    if (system.trim() === '') {
      throw new TaskError({
        what: 'this machine has no name',
        why: 'uname said nothing',
        advice: 'ask it again',
      });
    }
    // A result: the only thing on stdout.
    print(system.trim());
    report('unchanged');
  },
});

process.exitCode = await runCli([inspect], process.argv.slice(2), { program: 'commands.ts' });
