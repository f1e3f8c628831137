import { runCli, task } from '../runner.ts';

/*
 * Only what is needed: `up-to-date.ts build`, twice. `--explain` says why a task runs or not, `--force` runs it in any case, `--watch` runs
 * again whenever an input changes.
 */
const build = task({
  name: 'build',
  description: 'join the sources',
  // It is up to date while these, its arguments and its commands stay the same.
  inputs: ['source/**/*.txt', '!source/**/draft-*'],
  commands: () => ['mkdir -p out', 'cat source/*.txt > out/all.txt'],
});

const folder = task({
  name: 'folder',
  description: 'make a folder',
  // A command that says by exit code 0 that there is nothing to do.
  status: 'test -d made',
  commands: () => ['mkdir made'],
});

process.exitCode = await runCli([build, folder], process.argv.slice(2), { program: 'up-to-date.ts' });
