import { join } from 'node:path';
import type { ProviderName } from '../../lib/cluster/providers.ts';
import type { Environment } from '../../lib/settings/environment.ts';

/** An environment with its state in any folder. */
export function environmentIn(folder: string, provider: ProviderName = 'embedded'): Environment {
  const state = join(folder, '.state', 'development');
  return {
    name: 'development',
    provider,
    root: folder,
    state,
    plainState: state,
    kubeconfig: join(state, 'kubeconfig'),
    context: provider === 'existing' ? 'some-context' : 'development-0badcafe',
    clusterName: 'development-0badcafe',
    gnupgHome: join(state, 'gnupg'),
  };
}
