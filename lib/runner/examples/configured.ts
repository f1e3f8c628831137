import { join } from 'node:path';
import { runCli, task, UsageError } from '../runner.ts';

/*
 * Options for all tasks and a lock: `configured.ts deploy --stage live`.
 */
const deploy = task({
  name: 'deploy',
  description: 'deploy to a stage',
  // A second run for the same stage waits for this one, or with `--no-wait` fails at once.
  lock: true,
  commands: ({ options }) => [`echo deploy to ${options.stage}`],
});

process.exitCode = await runCli([deploy], process.argv.slice(2), {
  program: 'configured.ts',
  version: '1.0.0',
  options: { stage: { type: 'string', short: 's', env: 'STAGE', default: 'test', description: 'where to' } },
  // Checked once, before the graph is built.
  resolve: async (options) => {
    if (options.stage === 'test' || options.stage === 'live') return options;
    throw new UsageError({ what: `unknown stage \`${options.stage}\``, advice: 'use test or live' });
  },
  lock: ({ stage }) => join('.state', String(stage), 'lock'),
});
