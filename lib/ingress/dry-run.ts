import { providerOf } from '../cluster/providers.ts';
import { shellWord } from '../ground/shell-words.ts';
import { kubectlText } from '../kubernetes/kubectl.ts';
import type { Target } from '../settings/context.ts';
import { ownCertificates } from './certificates.ts';
import { controllerOf } from './controllers.ts';
import { redirectPort } from './routes.ts';

/** Plain commands of `test-ingress`, which print each route's status. */
export function testIngressCommands(
  { environment, settings }: Target,
  app: string,
  path: string | undefined,
): readonly string[] {
  const controller = controllerOf(settings);
  if (controller === undefined) return ['# ingress.controller is none: there are no routes'];
  const { tls, address } = settings.ingress;
  const host = `${app}-front.${environment.name}.${settings.domain}`;
  const port = tls.enabled ? 443 : 80;
  const scheme = tls.enabled ? 'https' : 'http';
  const trust = ownCertificates(settings) ? `--cacert .state/${environment.name}/certificates/ca.crt ` : '';
  const kubectl = `${kubectlText(environment)} -n ${controller.namespace}`;
  const service = `${kubectl} get service -l app.kubernetes.io/name=${controller.label} -o`;
  const balancer = '.items[0].status.loadBalancer.ingress[0]';
  // Without a load balancer, every node answers on a NodePort.
  const node = providerOf(environment).nodeAddress?.(environment.clusterName);
  const lookup =
    node !== undefined
      ? [
          `address=$(${node})`,
          `port=$(${service} jsonpath='{.items[0].spec.ports[?(@.port==${port})].nodePort}')`,
        ]
      : [`address=$(${service} jsonpath='{${balancer}.ip}{${balancer}.hostname}')`, `port=${port}`];
  const [given = '', givenPort = String(port)] = address.split(':');
  const found = given === '' ? lookup : [`address=${given}`, `port=${givenPort}`];
  const shown = redirectPort(settings) ?? port;
  const origin = new URL(`${scheme}://${host}:${shown}`).origin;
  const paths = path === undefined ? ['/', '/admin', '/api/internal'] : [path];
  const curl = `curl --silent --show-error --output /dev/null --write-out '%{http_code}\\n'`;
  const connect = `${trust}--connect-to "${host}:${shown}:$address:$port"`;
  return [...found, ...paths.map((one) => `${curl} ${connect} ${shellWord(`${origin}${one}`)}`)];
}
