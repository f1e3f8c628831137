import { runCli, task } from '../runner.ts';

/*
 * After a failure go on where it stopped: `resume.ts deploy` fails until there is a file `ready`; then `resume.ts deploy --resume` leaves
 * out what was done.
 */
const upload = task({
  name: 'upload',
  description: 'the long part',
  commands: () => ['echo uploaded'],
});

const deploy = task({
  name: 'deploy',
  description: 'upload and switch over',
  needs: [upload],
  commands: () => ['test -f ready', 'echo deployed'],
});

process.exitCode = await runCli([upload, deploy], process.argv.slice(2), { program: 'resume.ts' });
