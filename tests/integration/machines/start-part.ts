import { bootstrap } from '../../../lib/start/bootstrap.ts';

/*
 * Starts one part of this clone's embedded cluster and its needs, as `create-environment` does:
 * `node --import tsx tests/integration/machines/start-part.ts database`.
 */
const argv = ['start-part', ...process.argv.slice(2), '--provider', 'embedded'];
process.exitCode = (await bootstrap(argv)) ?? (await start());

async function start(): Promise<number> {
  const { runCli, task } = await import('@k8s-deployment/runner');
  const { config } = await import('../../../tasks/all.ts');
  const { environmentOf } = await import('../../../lib/settings/environment.ts');
  const { partNeeds } = await import('../../../tasks/embedded.ts');
  const startPart = task({
    name: 'start-part',
    description: 'start one part',
    args: { part: { type: 'string', positional: true, description: 'its name' } },
    needs: ({ args, options }) => {
      const needs = partNeeds({ environment: environmentOf(options) }, 'create');
      return needs.filter(({ task: { name } }) => name === `embedded-${args.part}`);
    },
    commands: () => [],
  });
  return runCli([startPart], argv, config);
}
