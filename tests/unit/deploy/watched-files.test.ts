import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { watchedFiles } from '../../../lib/deploy/commands.ts';
import { leftoverGlob } from '../../../lib/ground/leftover-files.ts';
import { environmentOf } from '../../../lib/settings/environment.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';

async function watched(selection: { app?: string; tier?: string }, provider: 'embedded' | 'minikube') {
  const environment = environmentOf({ env: 'development', provider });
  return watchedFiles({ environment, settings: await loadSettings(environment) }, selection);
}

test('an install watches the settings, and the charts of its releases and of those that these need', async () => {
  const settings = ['helmfile.yaml', 'environments/*.{yaml,gotmpl}', 'environments/development'];
  const [own, leftovers] = [['./charts/devops', './charts/postgresql'], `!${leftoverGlob}`];
  const fronts = ['./charts/backend', './charts/frontend'];
  assert.equal(await watched({ app: 'app2' }, 'minikube'), [...settings, ...own, ...fronts, leftovers]);
  assert.equal(await watched({ app: 'devops' }, 'minikube'), [...settings, './charts/devops', leftovers]);
  // The chart that the settings name for metrics-server.
  const standIn = await watched({ app: 'metrics-server' }, 'embedded');
  assert.equal(standIn, [...settings, './charts/devops', './charts/stand-in', leftovers]);
});

test.run();
