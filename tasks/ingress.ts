import { requireCluster } from '../lib/cluster/cluster.ts';
import { declaredReleases } from '../lib/helm/helmfile.ts';
import { isFront } from '../lib/ingress/certificates.ts';
import { testIngressCommands } from '../lib/ingress/dry-run.ts';
import { testIngress as callIngress } from '../lib/ingress/test.ts';
import { task, UsageError } from '../lib/runner/runner.ts';
import { environmentOf, settingsOf } from '../lib/settings/environment.ts';
import { connection } from './cluster.ts';
import { tools } from './tools.ts';

/** Applications with a front: only these have routes. */
const appsWithFront = async (): Promise<string[]> =>
  (await declaredReleases()).filter(isFront).map(({ app }) => app);

export const testIngress = task({
  name: 'test-ingress',
  description: 'call an application through the ingress: 200 where we are allowed, 403 where not',
  group: 'deploy',
  args: {
    app: {
      type: 'choice',
      positional: true,
      choices: appsWithFront,
      noun: 'app',
      description: 'an application with a front',
    },
    path: { type: 'string', positional: true, optional: true, description: 'one path; default: all routes' },
    expect: {
      type: 'number',
      optional: true,
      description: 'the status that is expected, whatever the source ranges say',
    },
  },
  check: ({ args: { expect } }) => {
    if (expect === undefined || (Number.isInteger(expect) && expect >= 100 && expect <= 599)) return;
    throw new UsageError({
      what: `expected \`--expect\` to be a status of HTTP, got \`${expect}\``,
      why: 'a server answers with 100 to 599',
      advice: 'for example: --expect 403',
    });
  },
  // On the embedded cluster nothing is called.
  needs: ({ options }) =>
    environmentOf(options).provider === 'embedded' ? [] : [...tools('kubectl'), ...connection(options)],
  commands: async ({ args, options }) => {
    const environment = environmentOf(options);
    if (environment.provider === 'embedded')
      return ['# the embedded cluster has no ingress: nothing listens behind it'];
    return testIngressCommands(environment, await settingsOf(environment), args.app, args.path);
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    if (environment.provider !== 'embedded') await requireCluster(environment, context);
    const { app, path, expect } = context.args;
    await callIngress(environment, { app, path, expect }, context);
  },
});
