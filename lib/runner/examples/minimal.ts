import { runCli, task } from '../runner.ts';

/* The least there is: `npx tsx lib/runner/examples/minimal.ts hello`. */
const hello = task({
  name: 'hello',
  description: 'say hello',
  commands: () => ['echo hello'],
});

process.exitCode = await runCli([hello], process.argv.slice(2), { program: 'minimal.ts' });
