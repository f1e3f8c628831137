import { join } from 'node:path';
import { runCli, task, UsageError } from '../runner.ts';

/*
 * Arguments: `arguments.ts copy a.txt b.txt --to backup -v 2 -- --preserve`. What `args` holds is known to the
 * compiler. Options for all tasks, and a lock: `arguments.ts copy a.txt --to backup --stage live`.
 */
const copy = task({
  name: 'copy',
  aliases: ['cp'],
  description: 'copy files',
  args: {
    // By place; the last of these may take all words that are left.
    files: { type: 'string', positional: true, variadic: true, description: 'what to copy' },
    // By name. Without a default and not optional it is required; `env` gives it where the command line does not.
    to: { type: 'string', env: 'BACKUP_FOLDER', description: 'the folder to copy to' },
    versions: { type: 'number', short: 'v', default: 1, description: 'how many to keep' },
    compress: { type: 'choice', choices: ['none', 'gzip', 'zstd'], default: 'none', description: 'how' },
    // A flag that is on: `--no-check` turns it off.
    check: { type: 'boolean', default: true, description: 'do not compare afterwards' },
  },
  // Words after `--` are handed on as they are.
  passThrough: true,
  // A second run for the same stage waits for this one, or with `--no-wait` fails at once.
  lock: true,
  commands: ({ args, options, passThrough }) => [
    `echo cp ${[...passThrough, ...args.files].join(' ')} ${options.stage}/${args.to}`,
    `echo keep ${args.versions}, ${args.compress}`,
    ...(args.check ? ['echo compare'] : []),
  ],
});

process.exitCode = await runCli([copy], process.argv.slice(2), {
  program: 'arguments.ts',
  version: '1.0.0',
  options: { stage: { type: 'string', short: 's', env: 'STAGE', default: 'test', description: 'where to' } },
  // Checked once, before the graph is built.
  resolve: async (options) => {
    if (options.stage === 'test' || options.stage === 'live') return options;
    throw new UsageError({ what: `unknown stage \`${options.stage}\``, advice: 'use test or live' });
  },
  lock: ({ stage }) => join('.state', String(stage), 'lock'),
});
