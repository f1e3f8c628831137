import { suite } from 'uvu';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';

/* An existing cluster with scripted answers of kubectl. */

export const clone = scriptedFolder('environments', 'helmfile.yaml');
/** Of the test that runs. */
export let context: CloneContext;

export function existingSuite(name: string) {
  const test = suite(name);
  test.before.each(async () => {
    context = await clone.context('existing');
    clone.forget();
  });
  test.after.each(() => clone.reset());
  test.after(() => clone.remove());
  return test;
}

export const answers = {
  view: `echo '{"clusters":[{"cluster":{"server":"https://one"}}]}'`,
  ready: 'echo ok',
  namespaces: `echo '{"items":[]}'`,
  version: `echo '{"serverVersion":{"gitVersion":"v1.31.4-eks","minor":"31+"}}'`,
  storage: `echo '{"items":[{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}]}'`,
  may: 'echo yes',
  type: `echo '{"spec":{"versions":[{"name":"v1","served":true},{"name":"v1alpha1","served":true}]}}'`,
  operator: `echo '{"items":[{"metadata":{},"spec":{"template":{"spec":{"containers":[{"image":"a:5000/b:1.30.1"}]}}}}]}'`,
  issuer: '',
  service: `echo '{"items":[{"spec":{"clusterIP":"10.96.0.1"}}]}'`,
  slices: `echo '{"items":[{"endpoints":[{"addresses":["192.0.2.10"]}],"ports":[{"port":6443}]}]}'`,
  nodes: `echo '{"items":[{"metadata":{"name":"a"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.20"}]}}]}'`,
  dns: `echo '{"items":[{"endpoints":[{"addresses":["10.244.0.5"]}]}]}'`,
  dnsPods: `echo '{"items":[{"spec":{},"status":{"podIP":"10.244.0.5"}}]}'`,
  caches: `echo '{"items":[]}'`,
  metrics: `echo '{"items":[]}'`,
};

/** A kubectl that answers in this way. */
export const kubectl = (changes: Partial<typeof answers> = {}): void => {
  const answer = { ...answers, ...changes };
  const { view, ready, version, storage, may, type } = answer;
  clone.script(
    'kubectl',
    `case "$*" in
      *"config view"*) ${view};;
      *get-contexts*) printf 'team-a\\nteam-b\\n';;
      *readyz*) ${ready};;
      *"get namespaces"*) ${answer.namespaces};;
      *"get storageclass"*) ${storage};;
      *"get service kubernetes"*) ${answer.service};;
      *"get endpointslices"*kube-dns*) ${answer.dns};;
      *"get endpointslices"*) ${answer.slices};;
      *"get pods"*) ${answer.dnsPods};;
      *"get nodes"*) ${answer.nodes};;
      *"get daemonsets"*) ${answer.caches};;
      *"get apiservices"*) ${answer.metrics};;
      *can-i*) ${may};;
      *customresourcedefinition*) ${type || ':'};;
      *"get deployments"*) ${answer.operator};;
      *"get clusterissuer"*) ${answer.issuer || ':'};;
      *version*) ${version};;
    esac`,
  );
};
