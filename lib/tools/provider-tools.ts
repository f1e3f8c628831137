import { type ProviderName, providerOf } from '../cluster/providers.ts';
import { type ToolName, toolNames } from './manifest.ts';

// Not in manifest.yaml: the graph of a run is built, and `list` answers, without reading any YAML.

const everywhere: readonly ToolName[] = ['sops', 'helm', 'kubectl', 'helmfile', 'gpg', 'openssl'];

/** The tools that an environment of this provider cannot do without, in the order in which they are got. */
export function toolsOf(provider: ProviderName): ToolName[] {
  const needed = [...everywhere, ...providerOf({ provider }).tools];
  return toolNames.filter((name) => needed.includes(name));
}

/** What the tests call beside the tools of the embedded cluster; no environment needs it. */
export const testTools: readonly ToolName[] = ['kubeconform', 'actionlint', 'kube-apiserver-newest'];
