import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listing, printing, scriptedSuite } from '../../rig/scripted-folder.ts';

/*
 * The provider minikube with scripted answers of minikube and Docker: states and failures that a real cluster is
 * not brought to in a test. `npm run test:minikube` runs end to end on a real minikube.
 */

export const { test, project } = scriptedSuite('minikube', 'minikube', 'environments');
export const { environment, settings } = await project.context('minikube');
export const { clusterName } = environment;

const node = { status: { nodeInfo: { kubeletVersion: settings.cluster.kubernetesVersion } } };

// Each test begins with a Docker that has nothing, and an API server with three nodes.
test.before.each(() => {
  process.env.MINIKUBE_HOME = join(project.folder, '.minikube');
  project.script('kubectl', listing(node, node, node));
  docker({});
});

const engine = { NCPU: 8, MemTotal: 16 * 2 ** 30, ServerVersion: '27.3.0' };
export const progressFile = join(environment.state, 'minikube.progress');

/** Plays `minikube status`: what it prints, and shell code for the other commands. */
export const status = (text: string, exitCode = 0, body = ''): void =>
  project.script(
    'minikube',
    `case "$1" in status) cat <<'END'\n${text}\nEND\nexit ${exitCode};; esac\n${body}`,
  );

/** Plays Docker: names of containers, volumes and networks, and what differs in `docker info`. */
export function docker(names: { readonly [kind: string]: readonly string[] }, info: object = {}): void {
  const list = (kind: string) =>
    [`${kind} ls`, `printf '%s\\n' foreign ${(names[kind] ?? []).join(' ')}`] as const;
  const lists = Object.fromEntries(['container', 'volume', 'network'].map(list));
  project.script('docker', { ...lists, info: printing({ ...engine, ...info }) });
}

/** As after a create that came so far. */
export function progress(step: 'started' | 'complete' | undefined): void {
  mkdirSync(environment.state, { recursive: true });
  if (step !== undefined) writeFileSync(progressFile, step);
  writeFileSync(join(environment.state, 'environment.json'), '{"provider":"minikube"}');
}

type Node = { Name?: string; Host?: string; Kubelet?: string; APIServer?: string; Kubeconfig?: string };

/** What `minikube status` prints of nodes, the first of which is the control plane. */
export const nodes = (...states: readonly Node[]): string =>
  JSON.stringify(
    states.map(({ Host = 'Running', Name, Kubelet, APIServer, Kubeconfig }, index) => ({
      Name: Name ?? `node-${index + 1}`,
      Host,
      Kubelet: Kubelet ?? Host,
      APIServer: APIServer ?? (index === 0 ? Host : 'Irrelevant'),
      Kubeconfig: Kubeconfig ?? (index > 0 ? 'Irrelevant' : Host === 'Running' ? 'Configured' : Host),
    })),
  );
export const running = nodes({}, {}, {});
export const stopped = nodes({ Host: 'Stopped' }, { Host: 'Stopped' }, { Host: 'Stopped' });

/** Plays a minikube that has no profile, or answers so, until `start`, and these nodes from then on. */
export function untilStart(now = running, before = 'exit 85', first = ''): void {
  const started = join(environment.state, 'started');
  const status = `if [ -e ${started} ]; then echo '${now}'; else ${before}; fi`;
  const start = `mkdir -p ${environment.state}; touch ${started}`;
  project.script('minikube', `${first}\ncase "$1" in status) ${status};; start) ${start};; esac`);
}

/** Calls that change something, as a dry run prints them: the form of the output is left out. */
export const changes = (): string[] =>
  project
    .calls(/^(?!(minikube (status|node list)|docker (info|\w+ ls)|kubectl .* get nodes) )/)
    .map((line) => line.replace(/ --output json$/, ''));

/** Plays the sizes in minikube's record of the profile. */
export function record(sizes: { readonly CPUs: number; readonly Memory: number }): void {
  const folder = join(project.folder, '.minikube', 'profiles', clusterName);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(sizes));
}
