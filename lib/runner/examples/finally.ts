import { runCli, task } from '../runner.ts';

/*
 * What a task created is removed, however the run ends: `finally.ts check`, `finally.ts check --broken`.
 */
const remove = task({
  name: 'remove',
  description: 'remove the database',
  private: true,
  commands: () => ['echo database removed'],
});

const database = task({
  name: 'database',
  description: 'make a database',
  // After this task and everything that needs it, also after a failure or Ctrl-C; not when this task never started.
  finally: [remove],
  commands: () => ['echo database made'],
});

const check = task({
  name: 'check',
  description: 'test against the database',
  args: { broken: { type: 'boolean', description: 'let it fail' } },
  needs: [database],
  commands: ({ args }) => [args.broken ? 'exit 3' : 'echo checked'],
});

process.exitCode = await runCli([remove, database, check], process.argv.slice(2), { program: 'finally.ts' });
