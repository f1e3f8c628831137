import type { ProviderName } from '../../lib/cluster/providers.ts';
import type { Environment } from '../../lib/settings/context.ts';
import { environmentOf } from '../../lib/settings/environment.ts';

/** The environment `development` of a project in any folder. */
export const environmentIn = (folder: string, provider: ProviderName = 'embedded'): Environment =>
  environmentOf({ env: 'development', provider, context: 'some-context' }, folder);
