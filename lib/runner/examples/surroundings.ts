import { runCli, task } from '../runner.ts';

/*
 * Folder and variables of a task's commands: `surroundings.ts where --mode release`.
 */
const where = task({
  name: 'where',
  description: 'say where commands run, and with what',
  args: { mode: { type: 'choice', choices: ['debug', 'release'], default: 'debug', description: 'which' } },
  // From the working directory on; `inputs` and `outputs` start here too.
  cwd: 'web',
  // They win over all other variables.
  env: ({ args }) => ({ MODE: args.mode }),
  commands: () => ['basename "$PWD"', 'echo "mode $MODE"'],
});

process.exitCode = await runCli([where], process.argv.slice(2), { program: 'surroundings.ts' });
