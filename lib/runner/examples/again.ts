import { runCli, task } from '../runner.ts';

/*
 * Only what is needed: `again.ts build`, twice. `--explain` says why a task runs or not, `--force` runs it in any case,
 * `--watch` runs again whenever an input changes. `again.ts deploy` fails until there is a file `ready`; then `again.ts
 * deploy --resume` leaves out what was done.
 */
const build = task({
  name: 'build',
  description: 'join the sources',
  // It is up to date while these, its arguments and its commands stay the same …
  inputs: ['source/**/*.txt', '!source/**/draft-*'],
  // … and this command says by exit code 0 that there is nothing to do.
  status: 'test -f out/all.txt',
  commands: () => ['mkdir -p out', 'cat source/*.txt > out/all.txt'],
});

const upload = task({
  name: 'upload',
  description: 'the long part',
  needs: [build],
  commands: () => ['echo uploaded'],
});

const deploy = task({
  name: 'deploy',
  description: 'upload and switch over',
  needs: [upload],
  commands: () => ['test -f ready', 'echo deployed'],
});

process.exitCode = await runCli([build, upload, deploy], process.argv.slice(2), { program: 'again.ts' });
