import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { releaseObjects } from '../../charts/environments.ts';
import { render, type Tree } from '../../charts/render.ts';
import { ourNamespaces } from '../../network/connections.ts';
import { outputOf, type Place } from '../../rig/programs.ts';
import { dryRunOn, list } from '../api-server.ts';
import { sandbox, state } from './shared.ts';

export const rights = suite('rights');

const place: Place = {
  folder: sandbox.folder,
  env: {
    ...sandbox.env,
    KUBECONFIG: state('kubeconfig'),
    KUBECACHEDIR: sandbox.path('.state/kube-cache'),
  },
};
const run = (program: string, args: readonly string[], stdin?: string) =>
  outputOf(place, program, args, stdin);
const dryRun = (objects: readonly object[], ...more: readonly string[]) => dryRunOn(place, objects, more);

/** A fully restricted pod, with a change of its container's security context. */
const podOf = (namespace: string, change: Tree = {}, resources: Tree = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'asked', namespace },
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'asked',
        image: 'registry.example/asked:1',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, ...change },
        resources,
      },
    ],
  },
});

/** Verbs by resource. */
type Rights = Readonly<Record<string, string>>;

type Rule = {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
};

const asTeam = (team: string) => ['--as', 'somebody', '--as-group', `k8s-deployment:${team}`];

const rulesReview = (namespace: string) => ({
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

function normal(rights: Rights): Rights {
  const sorted = (verbs: string) => [...new Set(verbs.split(' '))].sort().join(' ');
  return Object.fromEntries(Object.entries(rights).map(([resource, verbs]) => [resource, sorted(verbs)]));
}

const isOurs = (namespace: string): boolean => ourNamespaces.some((name) => name === namespace);

/** All rights of each team in a namespace; `nobody` is a group that is no team. */
const rightsOf: Readonly<Record<string, (namespace: string) => Rights>> = {
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
function rightsIn(rules: readonly Rule[]): Rights {
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

rights('workloads of releases with the longest name get their pods', async () => {
  const release = 'a-release-with-the-longest-name-that-helm-would-accep';
  assert.is(release.length, 53);
  const rendered = [
    render('postgresql', { release, namespace: 'database', values: { persistence: { enabled: false } } }),
    render('frontend', { release, namespace: 'frontend' }),
    render('backend', { release, namespace: 'backend', values: { secrets: { managedBy: 'sops' } } }),
  ];
  const objects = (await Promise.all(rendered)).flat();
  await run('kubectl', ['apply', '--server-side', '-f', '-'], list(objects));
  for (const [namespace, component] of [
    ['database', 'server'],
    ['frontend', 'server'],
    ['backend', 'server'],
    ['backend', 'verification'],
  ] as const) {
    const labels = `app.kubernetes.io/instance=${release},app.kubernetes.io/component=${component}`;
    const words = ['wait', '--for=create', 'pod', '-l', labels, '--timeout', '180s'];
    await run('kubectl', ['-n', namespace, ...words]);
  }
  await run('kubectl', ['delete', '--wait=false', '-f', '-'], list(objects));
});

rights('each namespace accepts only restricted pods', async () => {
  const taken = await dryRun(ourNamespaces.map((namespace) => podOf(namespace)));
  assert.is(taken.exitCode, 0, taken.stderr);
  const changes = [{ allowPrivilegeEscalation: true }, { capabilities: {} }, { runAsUser: 0 }];
  const pods = ourNamespaces.flatMap((namespace) => changes.map((change) => podOf(namespace, change)));
  const { stderr } = await dryRun(pods);
  assert.is(stderr.match(/violates PodSecurity "restricted:latest"/g)?.length, pods.length);
});

rights('a container beyond the LimitRange and a pod beyond the quota are refused', async () => {
  const wide = await dryRun([podOf('backend', {}, { limits: { cpu: '600m', memory: '100Mi' } })]);
  assert.match(wide.stderr, 'maximum cpu usage per Container is 500m');
  const much = { cpu: '3', memory: '1Gi' };
  const over = await dryRun([podOf('database', {}, { requests: much, limits: much })]);
  assert.match(over.stderr, 'exceeded quota: database-quota, requested: requests.cpu=3');
});

rights('teams have exactly the rights of their table', async () => {
  const namespaces = [...ourNamespaces, 'default', 'kube-system'];
  for (const [team, expected] of Object.entries(rightsOf)) {
    const reviews = list(namespaces.map(rulesReview));
    const words = ['create', '--validate=false', '-o', 'jsonpath={.status.resourceRules}{"\\n"}'];
    const rules = (await run('kubectl', [...words, ...asTeam(team), '-f', '-'], reviews)).trim().split('\n');
    for (const [index, namespace] of namespaces.entries()) {
      const found = rightsIn(JSON.parse(rules[index] ?? '') as Rule[]);
      assert.equal(found, expected(namespace), `${team} in ${namespace}`);
    }
  }
});

rights('the rights of deployers suffice for the applications, not for the platform', async () => {
  const objectsOf = async (...releases: string[]) =>
    (await Promise.all(releases.map((release) => releaseObjects(release, 'existing')))).flat();
  const applications = await objectsOf('app1-back', 'app1-front', 'app2-back', 'app2-front');
  const { exitCode, stderr } = await dryRun(applications, ...asTeam('deployers'));
  assert.is(exitCode, 0, stderr);
  const both = await objectsOf('devops', 'postgresql');
  const platform = both.filter(({ metadata }) => !/^(back|front)end$/.test(metadata.namespace ?? ''));
  for (const [team, objects] of [
    ['backend', applications],
    ['deployers', platform],
  ] as const) {
    const refused = await dryRun(objects, ...asTeam(team));
    assert.is(refused.stderr.match(/ is forbidden: /g)?.length, objects.length, team);
  }
});

rights('helm itself installs, upgrades and removes an application as a deployer', async () => {
  const as = ['--kube-as-user', 'somebody', '--kube-as-group', 'k8s-deployment:deployers'];
  const values = { ingress: { host: 'probe.example', adminWhitelist: ['192.0.2.0/24'] } };
  const all = { ...values, backend: { release: 'probe-back' }, cluster: { podCidr: '10.244.0.0/16' } };
  for (const words of [['upgrade', '--install'], ['upgrade'], ['uninstall']]) {
    const chart = words[0] === 'upgrade' ? ['charts/frontend', '--values', '-'] : [];
    const args = [...words, 'probe', ...chart, '-n', 'frontend', '--wait', '--timeout', '180s', ...as];
    await run('helm', args, JSON.stringify(all));
  }
});
