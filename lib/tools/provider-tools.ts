import { type ProviderName, providerOf } from '../cluster/providers.ts';
import { type ToolName, toolNames } from './manifest.ts';

// Not in manifest.yaml, because `list` and a run's graph must not parse YAML.

const everywhere: readonly ToolName[] = ['sops', 'helm', 'kubectl', 'helmfile', 'gpg', 'openssl'];

/** Tools for environments of this provider, in the order of installation. */
export function toolsOf(provider: ProviderName): ToolName[] {
  const needed = [...everywhere, ...providerOf({ provider }).tools];
  return toolNames.filter((name) => needed.includes(name));
}

/** Tools for tests only. */
export const testTools: readonly ToolName[] = ['kubeconform', 'actionlint', 'kube-apiserver-newest'];
