import { requireCluster } from '../lib/cluster/cluster.ts';
import { environmentOf, settingsOf } from '../lib/environment.ts';
import { declaredReleases } from '../lib/helmfile.ts';
import { testIngress as callIngress } from '../lib/ingress.ts';
import { kubectlText } from '../lib/kubectl.ts';
import { task } from '../lib/runner/runner.ts';
import { shellWord } from '../lib/shell-words.ts';
import { connection } from './cluster.ts';
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
  needs: ({ options }) => {
    const { provider } = environmentOf(options);
    // On the embedded cluster nothing is called.
    if (provider === 'embedded') return [];
    return [
      ...tools(...(provider === 'minikube' ? (['minikube'] as const) : []), 'kubectl'),
      ...connection(options),
    ];
  },
  commands: async ({ args, options }) => {
    const environment = environmentOf(options);
    if (environment.provider === 'embedded')
      return ['# the embedded cluster has no ingress: nothing listens behind it'];
    const { domain } = await settingsOf(environment);
    const host = `${args.app}-front.${environment.name}.${domain}`;
    const balancer = '.items[0].status.loadBalancer.ingress[0]';
    const address =
      environment.provider === 'minikube'
        ? `minikube ip --profile ${environment.clusterName}`
        : `${kubectlText(environment)} -n frontend get ingress -l app.kubernetes.io/instance=${args.app}-front -o jsonpath='{${balancer}.ip}{${balancer}.hostname}'`;
    return [
      `curl --fail --silent --show-error --header 'Host: ${host}' "http://$(${address})"${shellWord(args.path)}`,
    ];
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    if (environment.provider !== 'embedded') await requireCluster(environment, context);
    await callIngress(environment, context.args.app, context.args.path, context);
  },
});
