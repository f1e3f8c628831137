import { root } from '../lib/ground/project.ts';
import { connection } from './connection.ts';
import { task } from './environment-task.ts';
import { tools } from './tools.ts';

const code = () => import('../lib/ingress/test.ts');

/** Applications with a front; others have no routes. */
async function appsWithFront(): Promise<string[]> {
  const { declaredReleases } = await import('../lib/helm/helmfile.ts');
  const { isFront } = await import('../lib/ingress/certificates.ts');
  return (await declaredReleases(root)).filter(isFront).map(({ app }) => app);
}

export const testIngress = task({
  name: 'test-ingress',
  description: 'call an application through the ingress and check the status of each route',
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
      range: [100, 599],
      optional: true,
      description: 'the expected HTTP status; default: by the allowed source ranges',
    },
  },
  // Without real pods nothing is called.
  needs: (input) => (input.provider.simulatedPods ? [] : [...tools('kubectl'), ...connection(input)]),
  commands: async (input) => {
    const { args, environment, provider } = input;
    if (provider.simulatedPods)
      return [`# the ${environment.provider} cluster has no ingress: nothing listens behind it`];
    return (await code()).testIngressCommands(input, args);
  },
  onCluster: ({ provider }) => !provider.simulatedPods,
  run: async (context) => (await code()).testIngress(context, context.args),
});

/** Tests all routes. */
export const testRoutes = task({
  name: 'test-routes',
  description: 'call every application with a front through the ingress',
  private: true,
  needs: (input) => [...tools('kubectl'), ...connection(input)],
  commands: async (input) => {
    const { testIngressCommands } = await code();
    return (await appsWithFront()).flatMap((app) => testIngressCommands(input, { app }));
  },
  onCluster: true,
  run: async (context) => {
    const { testIngress } = await code();
    for (const app of await appsWithFront()) await testIngress(context, { app });
  },
});
