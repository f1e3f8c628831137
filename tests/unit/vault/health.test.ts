import { test } from 'uvu';
import { root } from '../../../lib/ground/project.ts';
import { declaredReleases } from '../../../lib/helm/helmfile.ts';
import { checkVault } from '../../../lib/vault/health.ts';
import { answeringShell } from '../../rig/answering-shell.ts';
import { fails, taskContext } from '../../rig/task-context.ts';

const shell = answeringShell(() => ({ exitCode: 1, stderr: 'error: no running pods' }));
const context = { ...taskContext({ env: 'development', provider: 'existing', context: 'team' }), $: shell };

test('only releases that get secrets from Vault need one that answers', async () => {
  await checkVault(context, await declaredReleases(root, { app: 'app2' }));
  for (const selection of [{ app: 'app1' }, {}]) {
    await fails(checkVault(context, await declaredReleases(root, selection)), {
      what: 'Vault of environment `development` does not answer',
      why: /app1-back(, app1-front)? would wait for secrets from it; nothing was changed$/,
      advice: /create-environment/,
    });
  }
});

test.run();
