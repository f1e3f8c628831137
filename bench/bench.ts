import { runCli, task } from '@k8s-deployment/runner';
import { environmentRows } from './environment.ts';
import { type Row, table } from './report.ts';
import { runnerRows } from './runner/runner-rows.ts';
import { sizeRows } from './size.ts';

/*
 * All measurements in one run on one machine, as ratios to what each is compared with: `npm run bench`, one part of it
 * `npm run bench -- runner`, for programs `npm run -s bench -- --json`. It is no test: the exit code says whether
 * everything worked, not how fast it was.
 */
const bench = task({
  name: 'bench',
  description: 'measure the main job on the embedded cluster, and the runner against its peers',
  args: {
    part: {
      type: 'choice',
      choices: ['environment', 'size', 'runner', 'start', 'no-op', 'commands', 'wall-time'],
      positional: true,
      optional: true,
      description:
        'only this part (the last four are those of the runner); `environment` and `size` need the tools, and `size` only runs by name',
    },
    repetitions: {
      type: 'number',
      short: 'r',
      range: [1],
      default: 3,
      description: 'how often each step of the environment is measured',
    },
    applications: {
      type: 'number',
      default: 60,
      description: 'how many applications `size` compares with two',
    },
  },
  commands: () => [],
  run: async (context) => {
    const { part, repetitions } = context.args;
    const rows: Row[] = [];
    if (part === undefined || part === 'environment')
      rows.push(...(await environmentRows(context, repetitions)));
    if (part === 'size') rows.push(...(await sizeRows(context, context.args.applications)));
    else if (part !== 'environment')
      rows.push(...(await runnerRows(context, part === 'runner' ? undefined : part)));
    context.print(context.options.json === true ? JSON.stringify(rows, null, 2) : table(rows));
  },
});

process.exitCode = await runCli([bench], ['bench', ...process.argv.slice(2)], {
  program: 'npm run bench --',
});
