import { type ToolName, toolNames } from './manifest.ts';

// Not in manifest.yaml: the graph of a run is built, and `list` answers, without reading any YAML.

const everywhere: readonly ToolName[] = ['sops', 'helm', 'kubectl', 'helmfile', 'gpg', 'openssl'];

const further: { readonly [provider: string]: readonly ToolName[] } = {
  minikube: ['minikube', 'docker'],
  embedded: [
    'etcd',
    'kube-apiserver',
    'kube-controller-manager',
    'kube-scheduler',
    'kwokctl',
    'kwok',
    'vault-secrets-operator',
    'vault',
    'postgresql',
  ],
};

/** The tools that an environment of this provider cannot do without, in the order in which they are got. */
export function toolsOf(provider: string): ToolName[] {
  const needed = [...everywhere, ...(further[provider] ?? [])];
  return toolNames.filter((name) => needed.includes(name));
}

/** What the tests call beside the tools of the embedded cluster; no environment needs it. */
export const testTools: readonly ToolName[] = ['kubeconform', 'actionlint', 'kube-apiserver-newest'];
