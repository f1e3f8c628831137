import { listing, printing, scriptedSuite } from '../../rig/scripted-folder.ts';

export const { test, project } = scriptedSuite('existing', 'existing', 'environments', 'helmfile.yaml');

const defaultClass = { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } };
const served = (name: string) => ({ name, served: true });

export const apiAt = (port: number, ...addresses: string[]): string =>
  listing({ endpoints: [{ addresses }], ports: [{ port }] });
export const nodeAt = (address: string): string =>
  listing({ metadata: { name: 'a' }, status: { addresses: [{ type: 'InternalIP', address }] } });
export const dnsPod = (hostNetwork: boolean): string =>
  listing({ spec: { hostNetwork }, status: { podIP: '10.244.0.5' } });
export const operatorOf = (image: string, labels: object = {}): string =>
  listing({ metadata: { labels }, spec: { template: { spec: { containers: [{ image }] } } } });

const answers = {
  'config view': printing({ clusters: [{ cluster: { server: 'https://one' } }] }),
  readyz: 'echo ok',
  'get namespaces': listing(),
  'get storageclass': listing({ metadata: defaultClass }),
  'get service kubernetes': listing({ spec: { clusterIP: '10.96.0.1' } }),
  'get endpointslices*kube-dns': listing({ endpoints: [{ addresses: ['10.244.0.5'] }] }),
  'get endpointslices': apiAt(6443, '192.0.2.10'),
  'get pods': dnsPod(false),
  'get nodes': nodeAt('192.0.2.20'),
  'get daemonsets': listing(),
  'get apiservices': listing(),
  'can-i': 'echo yes',
  customresourcedefinition: printing({ spec: { versions: [served('v1'), served('v1alpha1')] } }),
  'get deployments': operatorOf('a:5000/b:1.30.1'),
  'get clusterissuer': '',
  version: printing({ serverVersion: { gitVersion: 'v1.31.4-eks', minor: '31+' } }),
};

export type Changes = Partial<typeof answers>;

export const kubectl = (changes: Changes = {}): void => project.script('kubectl', { ...answers, ...changes });
