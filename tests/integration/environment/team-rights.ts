import { ourNamespaces } from '../../network/connections.ts';

/* Expected rights of the teams: verbs by resource. */

type Rights = Readonly<Record<string, string>>;

/** Of the API `authorization.k8s.io/v1`. */
export type Rule = {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
};

/** kubectl arguments to act as a member of a team. */
export const asTeam = (team: string) => ['--as', 'somebody', '--as-group', `k8s-deployment:${team}`];

/** Review of all rights of its creator. */
export const rulesReview = (namespace: string) => ({
  apiVersion: 'authorization.k8s.io/v1',
  kind: 'SelfSubjectRulesReview',
  spec: { namespace },
});

const look = 'get list watch';
const write = 'create delete patch update';

const all = (verbs: string, ...resources: readonly string[]): Rights =>
  Object.fromEntries(resources.flatMap((names) => names.split(' ').map((name) => [name, verbs])));

/** Rights in namespaces that a team operates. */
const operates: Rights = {
  ...all(
    look,
    'configmaps endpoints events limitranges persistentvolumeclaims pods/log resourcequotas serviceaccounts services',
    'controllerrevisions.apps daemonsets.apps deployments.apps replicasets.apps statefulsets.apps',
    '*.autoscaling *.batch *.discovery.k8s.io *.events.k8s.io *.gateway.networking.k8s.io *.metrics.k8s.io *.networking.k8s.io *.policy',
    '*.barmancloud.cnpg.io *.keda.sh *.monitoring.coreos.com *.postgresql.cnpg.io',
    '*.secrets.hashicorp.com *.traefik.io',
  ),
  pods: `delete ${look}`,
  'deployments.apps/scale': 'get patch update',
};

/** Rights in namespaces where a team installs releases. */
const deploys: Rights = {
  ...operates,
  ...all(
    `${write} ${look}`,
    'configmaps persistentvolumeclaims serviceaccounts services deployments.apps statefulsets.apps secrets',
  ),
  ...all(
    write,
    'horizontalpodautoscalers.autoscaling cronjobs.batch jobs.batch ingresses.networking.k8s.io',
    'networkpolicies.networking.k8s.io poddisruptionbudgets.policy middlewares.traefik.io',
    'httproutes.gateway.networking.k8s.io referencegrants.gateway.networking.k8s.io',
    'objectstores.barmancloud.cnpg.io scaledobjects.keda.sh clusters.postgresql.cnpg.io scheduledbackups.postgresql.cnpg.io',
    'vaultauths.secrets.hashicorp.com vaultconnections.secrets.hashicorp.com',
    'vaultdynamicsecrets.secrets.hashicorp.com vaultstaticsecrets.secrets.hashicorp.com',
  ),
  ...all('create get', 'pods/exec pods/portforward'),
};

/** Additional rights of cluster observers, in every namespace. */
const observes: Rights = {
  ...all(
    look,
    'customresourcedefinitions.apiextensions.k8s.io ingressclasses.networking.k8s.io namespaces nodes',
    'persistentvolumes priorityclasses.scheduling.k8s.io storageclasses.storage.k8s.io',
  ),
  'nodes.metrics.k8s.io': 'get list',
};

/** Rights in a comparable form. */
function normal(rights: Rights): Rights {
  const sorted = (verbs: string) => [...new Set(verbs.split(' '))].sort().join(' ');
  return Object.fromEntries(Object.entries(rights).map(([resource, verbs]) => [resource, sorted(verbs)]));
}

const isOurs = (namespace: string): boolean => ourNamespaces.some((name) => name === namespace);

/** All rights of each team in a namespace; `nobody` is a group that is no team. */
export const rightsOf: Readonly<Record<string, (namespace: string) => Rights>> = {
  backend: (namespace) => normal(namespace === 'backend' ? operates : {}),
  frontend: (namespace) => normal(namespace === 'frontend' ? operates : {}),
  devops: (namespace) => normal({ ...observes, ...(isOurs(namespace) ? operates : {}) }),
  deployers: (namespace) =>
    normal({
      ...observes,
      ...(['backend', 'frontend'].includes(namespace) ? deploys : isOurs(namespace) ? operates : {}),
    }),
  nobody: () => ({}),
};

/** Rules of a SelfSubjectRulesReview, without those of every user (self reviews) and those for named objects. */
export function rightsIn(rules: readonly Rule[]): Rights {
  const rights: Record<string, string> = {};
  for (const { apiGroups = [], resources = [], verbs, resourceNames } of rules) {
    if (resourceNames !== undefined) continue;
    for (const group of apiGroups)
      for (const name of resources) {
        const resource = group === '' ? name : name.replace(/^[^/]+/, `$&.${group}`);
        if (/^selfsubject\w+\.auth(entication|orization)\.k8s\.io$/.test(resource)) continue;
        rights[resource] = [rights[resource] ?? [], verbs].flat().join(' ');
      }
  }
  return normal(rights);
}
