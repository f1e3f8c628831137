import { type ProviderName, providerOf } from '../cluster/providers.ts';
import { type ToolName, toolNames } from './manifest.ts';

// Not in manifest.yaml: `list` and the graph of a run must not read YAML.

const everywhere: readonly ToolName[] = ['sops', 'helm', 'kubectl', 'helmfile', 'gpg', 'openssl'];

/** The tools that environments of this provider need, in the order of their installation. */
export function toolsOf(provider: ProviderName): ToolName[] {
  const needed = [...everywhere, ...providerOf({ provider }).tools];
  return toolNames.filter((name) => needed.includes(name));
}

/** Tools for tests only. */
export const testTools: readonly ToolName[] = ['kubeconform', 'actionlint', 'kube-apiserver-newest'];
