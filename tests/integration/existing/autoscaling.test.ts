import { mkdirSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { keepReplicas } from '../../../lib/deploy/keep-replicas.ts';
import { declaredReleases } from '../../../lib/helm/helmfile.ts';
import { deployedReleases } from '../../../lib/helm/releases.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';
import { merge, required, type Tree } from '../../charts/render.ts';
import { callIn } from '../../charts/tools.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { taskContext } from '../../rig/task-context.ts';
import { startApiServer } from '../api-server.ts';

/* A release gets an autoscaler, on a real API server with the real helm. */

const test = suite('autoscaling');
const copy = copyOf('environments', 'helmfile.yaml');

test.after(copy.remove);

test('an application that gets an autoscaler keeps its number of pods until that has measured', async () => {
  const api = await startApiServer();
  try {
    const context = taskContext({ provider: 'existing', context: 'test' }, [], copy.folder);
    const { environment } = context;
    mkdirSync(environment.state, { recursive: true });
    writeFileSync(environment.kubeconfig, await api.kubectl(['config', 'view', '--raw', '--flatten']));
    await api.kubectl(['create', 'namespace', 'backend']);
    const install = async (values: Tree) => {
      const words = ['upgrade', '--install', 'app2-back', 'charts/backend', '-n', 'backend', '--values', '-'];
      const { exitCode, stderr } = await callIn(
        { folder: '.', env: { ...process.env, KUBECONFIG: api.kubeconfig } },
        'helm',
        [...words, '--server-side=true', '--force-conflicts'],
        JSON.stringify(merge(merge(required.backend, { secrets: { managedBy: 'sops' } }), values)),
      );
      assert.is(exitCode, 0, stderr);
    };
    const pods = () =>
      api.kubectl(['-n', 'backend', 'get', 'deployment', 'app2-back', '-o', 'jsonpath={.spec.replicas}']);
    await install({ replicas: 7 });
    const settings = await loadSettings(environment);
    const [release] = (await declaredReleases(copy.folder)).filter(({ name }) => name === 'app2-back');
    assert.ok(release);
    await keepReplicas({ ...context, settings }, [release], await deployedReleases(context));
    await install({ autoscaling: { enabled: true } });
    assert.is(await pods(), '7');
    await install({ replicas: 2 });
    assert.is(await pods(), '2');
  } finally {
    await api.stop();
  }
});

test.run();
