import { request } from 'node:http';
import { type Environment, shellOf } from './environment.ts';
import { kubectlJson } from './kubectl.ts';
import { type TaskContext, TaskError } from './runner/runner.ts';

type Ingress = {
  readonly spec: { readonly rules: readonly { readonly host: string }[] };
  readonly status: {
    readonly loadBalancer?: {
      readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[];
    };
  };
};

/** Calls the application through the ingress and throws unless the answer is 200. */
export async function testIngress(
  environment: Environment,
  app: string,
  path: string,
  context: TaskContext,
): Promise<void> {
  if (environment.provider === 'embedded') {
    throw new TaskError({
      what: `there is no ingress to test on the embedded cluster`,
      why: 'its nodes and pods are simulated: nothing listens behind the Ingress objects',
      advice: 'use --provider minikube, or --provider existing with a cluster of your own',
    });
  }
  const $ = await shellOf(context);
  type List = { readonly items: readonly Ingress[] };
  const { items } = await kubectlJson<List>(
    $,
    environment,
    '-n',
    'frontend',
    'get',
    'ingress',
    '-l',
    `app.kubernetes.io/instance=${app}-front`,
  );
  const ingress = items[0];
  const host = ingress?.spec.rules[0]?.host;
  if (!ingress || !host) {
    throw new TaskError({
      what: `${app} has no Ingress`,
      why: 'it is not installed, or ingress.controller is `none`',
      advice: `run install-app ${app}`,
    });
  }
  const address =
    environment.provider === 'minikube' ? await minikubeAddress(environment, context) : loadBalancer(ingress);
  if (address === undefined) {
    throw new TaskError({
      what: `the Ingress of ${app} has no address yet`,
      why: 'its controller has published none',
      advice: 'check the ingress controller, then run again',
    });
  }
  const status = await call(address, host, path, context.signal);
  context.log(`http://${host}${path} (${address}) answered ${status}`);
  if (status === 200) return;
  throw new TaskError({
    what: `http://${host}${path} answered ${status}, expected 200`,
    why:
      status === 403
        ? 'the caller is outside the allowed source ranges'
        : 'the application or its ingress is not in order',
    advice: `see: diff-app ${app}, test-app ${app}`,
  });
}

async function minikubeAddress(environment: Environment, context: TaskContext): Promise<string> {
  const $ = await shellOf(context);
  return (await $({ quiet: true })`minikube ip --profile ${environment.clusterName}`).stdout.trim();
}

function loadBalancer(ingress: Ingress): string | undefined {
  const [first] = ingress.status.loadBalancer?.ingress ?? [];
  return first?.ip ?? first?.hostname;
}

/** HTTP status of a GET on port 80 with another Host than the address. */
function call(address: string, host: string, path: string, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: address, port: 80, path, headers: { host }, timeout: 10_000, signal },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    sent.once('timeout', () => sent.destroy(new Error('no answer within 10 s')));
    sent.once('error', (error) =>
      reject(
        new TaskError({
          what: `http://${host}${path} cannot be reached at ${address}`,
          why: error.message,
          advice:
            'check that this machine can reach the ingress controller (with Docker Desktop: `minikube tunnel`)',
        }),
      ),
    );
    sent.end();
  });
}
