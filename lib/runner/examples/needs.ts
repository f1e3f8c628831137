import { need, runCli, task } from '../runner.ts';

/*
 * A graph: `needs.ts release`. Needs are references, so a mistyped one does not compile; `install` is needed twice and
 * runs once, the two builds run at the same time.
 */
const install = task({
  name: 'install',
  description: 'fetch packages',
  // Neither listed nor to be called by itself.
  private: true,
  commands: () => ['echo install'],
});

const build = task({
  name: 'build',
  description: 'build one part',
  group: 'build',
  args: { part: { type: 'choice', choices: ['client', 'server'], positional: true, description: 'which' } },
  needs: [install],
  commands: ({ args }) => [`echo build ${args.part}`],
});

const lint = task({
  name: 'lint',
  description: 'check the style',
  group: 'check',
  needs: [install],
  commands: () => ['echo lint'],
});

const publish = task({
  name: 'publish',
  description: 'upload what was built',
  group: 'build',
  // One after another, whatever else runs.
  mutex: 'registry',
  needs: [need(build, { part: 'client' }), need(build, { part: 'server' })],
  // Only when it is part of the run anyway.
  after: [lint],
  commands: () => ['echo publish'],
});

const release = task({
  name: 'release',
  description: 'check, build and publish',
  needs: [lint, publish],
  commands: () => [],
});

process.exitCode = await runCli([install, build, lint, publish, release], process.argv.slice(2), {
  program: 'needs.ts',
});
