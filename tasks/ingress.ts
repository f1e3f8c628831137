import { requireCluster } from '../lib/cluster/cluster.ts';
import { environmentOf, settingsOf } from '../lib/environment.ts';
import { declaredReleases } from '../lib/helmfile.ts';
import { testIngress as callIngress } from '../lib/ingress.ts';
import { task } from '../lib/runner/runner.ts';
import { tools } from './tools.ts';

/** Applications with a front: only these have an Ingress. */
const appsWithFront = async (): Promise<string[]> =>
  (await declaredReleases()).filter(({ name }) => name.endsWith('-front')).map(({ app }) => app);

export const testIngress = task({
  name: 'test-ingress',
  description: 'call an application through the ingress and check the status',
  group: 'deploy',
  args: {
    app: {
      type: 'choice',
      positional: true,
      choices: appsWithFront,
      noun: 'app',
      description: 'an application with a front',
    },
    path: { type: 'string', positional: true, default: '/', description: 'the path to call' },
  },
  needs: tools('kubectl'),
  commands: async ({ args, options }) => {
    const environment = environmentOf(options);
    if (environment.provider === 'embedded')
      return ['# the embedded cluster has no ingress: nothing listens behind it'];
    const { domain } = await settingsOf(environment);
    const host = `${args.app}-front.${environment.name}.${domain}`;
    const address =
      environment.provider === 'minikube'
        ? `"$(minikube ip --profile ${environment.clusterName})"`
        : '<address of the ingress controller>';
    return [`curl --fail --header 'Host: ${host}' http://${address}${args.path}`];
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    if (environment.provider !== 'embedded') await requireCluster(environment, context);
    await callIngress(environment, context.args.app, context.args.path, context);
  },
});
