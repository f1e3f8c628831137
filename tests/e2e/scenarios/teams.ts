import * as assert from 'uvu/assert';
import { ourNamespaces } from '../../network/connections.ts';
import type { Stack } from '../stack.ts';

const teams = ['deployers', 'devops', 'backend', 'frontend'] as const;
type Team = (typeof teams)[number];

/** `resource` may be `type:subresource`, or `type/name`. */
async function may(stack: Stack, team: Team, namespace: string, verb: string, resource: string) {
  const [type = '', part] = resource.split(':');
  const group = `k8s-deployment:${team}`;
  const who = ['--as', 'somebody', '--as-group', group];
  const asked = [
    'auth',
    'can-i',
    verb,
    type,
    ...(part ? ['--subresource', part] : []),
    '-n',
    namespace,
    ...who,
  ];
  return (await stack.tryKubectl(asked)).stdout.trim().startsWith('yes');
}

/** Namespaces of each team. */
const home: Readonly<Record<Team, readonly string[]>> = {
  deployers: ourNamespaces,
  devops: ourNamespaces,
  backend: ['backend'],
  frontend: ['frontend'],
};

export async function teamsHaveLeastRights(stack: Stack): Promise<void> {
  const wrong: string[] = [];
  for (const team of teams) {
    for (const namespace of ourNamespaces) {
      const own = home[team].includes(namespace);
      // Deployers read helm's Secrets in the namespaces where they install.
      const installs = team === 'deployers' && ['backend', 'frontend'].includes(namespace);
      const expected: readonly (readonly [verb: string, resource: string, allowed: boolean])[] = [
        ['get', 'pods', own],
        ['get', 'pods:log', own],
        ['delete', 'pods', own],
        ['get', 'secrets', installs],
        ['list', 'secrets', installs],
        ['create', 'pods:exec', installs],
        ['create', 'rolebindings.rbac.authorization.k8s.io', false],
        ['delete', 'namespaces', false],
        ['patch', 'networkpolicies.networking.k8s.io', installs],
        ['create', 'serviceaccounts:token', false],
      ];
      const answers = await Promise.all(
        expected.map(([verb, resource]) => may(stack, team, namespace, verb, resource)),
      );
      for (const [index, [verb, resource, allowed]] of expected.entries())
        if (answers[index] !== allowed)
          wrong.push(`${team} ${allowed ? 'may not' : 'may'} ${verb} ${resource} in ${namespace}`);
    }
  }
  assert.equal(wrong, []);
}

/**
 * helm stores values in Secrets of the release's namespace. Those of devops and postgresql contain secrets: no
 * team may read them, only the cluster's administrator. Deployers read those of the applications.
 */
export async function onlyThePlatformReadsReleases(stack: Stack): Promise<void> {
  type Named = { metadata: { name: string; namespace: string } };
  const { items } = await stack.get<{ items: Named[] }>('secrets', '-A', '-l', 'owner=helm');
  const readers: string[] = [];
  for (const namespace of new Set(items.map(({ metadata }) => metadata.namespace))) {
    const { name } = items.find(({ metadata }) => metadata.namespace === namespace)?.metadata ?? { name: '' };
    for (const team of teams)
      if (await may(stack, team, namespace, 'get', `secrets/${name}`)) readers.push(`${namespace} ${team}`);
  }
  assert.equal(readers.sort(), ['backend deployers', 'frontend deployers']);
}
