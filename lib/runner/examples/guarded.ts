import { runCli, task, UsageError } from '../runner.ts';

/*
 * What may go wrong: `guarded.ts fetch`, `guarded.ts drop --yes`.
 */
const fetchAll = task({
  name: 'fetch',
  description: 'fetch, again when it fails',
  // Three attempts at most, half a second and then a second between them; each may take a minute (exit code 124 afterwards).
  retries: 2,
  retryDelayMs: 500,
  timeoutMs: 60_000,
  commands: () => ['echo fetch'],
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

process.exitCode = await runCli([fetchAll, drop], process.argv.slice(2), { program: 'guarded.ts' });
