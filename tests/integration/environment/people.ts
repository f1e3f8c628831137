import { spawn } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { fieldOf, sandbox, settingsFile, somebody, succeeds, until, withFile } from './shared.ts';

/* Other people change the cluster with kubectl and helm. The tests build on each other. */

export const people = suite('people');

/** Expects a task to fail with this error, which may be as long as helm's. */
async function fails(words: readonly string[], said: RegExp): Promise<void> {
  const { exitCode, stderr } = await sandbox.task(...words);
  assert.ok(exitCode === 1 && said.test(stderr.slice(stderr.indexOf('error: '))), stderr);
}

const installApp2 = async (): Promise<string> => (await succeeds('install-app', 'app2')).stderr;

const unchanged = 'unchanged: devops, postgresql, app2-back, app2-front';

const lines = (text: string, pattern: RegExp): string[] =>
  text.split('\n').flatMap((line) => (pattern.test(line) ? [line.trim()] : []));

const replicas = (): Promise<string> =>
  somebody('kubectl -n frontend get deployment app2-front -o jsonpath={.spec.replicas}');

people('manual changes are reported with field and manager, and reverted', async () => {
  const password = 'neither-shown-nor-kept';
  const image = await fieldOf('deployment/app2-back', '.spec.template.spec.containers[0].image');
  await somebody(`
    kubectl -n frontend scale deployment app2-front --replicas=4
    kubectl -n backend set image deployment app2-back backend=traefik/whoami:v1.10
    KUBE_EDITOR='sed -i s/DB_SSLMODE/DB_SSLMODUS/' kubectl -n backend edit deployment app2-back
    kubectl -n frontend patch deployment app2-front --type json -p '[{"op":"replace","path":"/spec/template/spec/containers/0/resources/limits/memory","value":"300Mi"}]'
    kubectl label namespace backend pod-security.kubernetes.io/enforce=privileged --overwrite
    kubectl label namespace frontend pod-security.kubernetes.io/enforce-
    kubectl -n backend annotate deployment app2-back secret.reloader.stakater.com/reload-
    kubectl -n backend patch resourcequota backend-quota -p '{"spec":{"hard":{"pods":"3"}}}'
    kubectl -n backend patch secret app2-back-database -p '{"stringData":{"DB_PASSWORD":"${password}"}}'
    kubectl -n frontend delete serviceaccount app2-front
    kubectl -n frontend label deployment app2-front app.kubernetes.io/managed-by-
    # Not helm's fields, so they stay.
    kubectl -n frontend annotate deployment app2-front some=note
    kubectl -n frontend rollout restart deployment app2-front`);
  const enforced = '.metadata.labels[pod-security.kubernetes.io/enforce]';
  const expected = [
    `devops was changed: namespace backend ${enforced}: privileged (kubectl-label), was restricted`,
    `devops was changed: namespace frontend ${enforced}: removed, was restricted`,
    'devops was changed: resourcequota backend/backend-quota .spec.hard.pods: 3 (kubectl-patch), was 30',
    'devops was changed: secret backend/app2-back-database .data.DB_PASSWORD: a hidden value (kubectl-patch), was a hidden value',
    'app2-back was changed: deployment backend/app2-back .metadata.annotations[secret.reloader.stakater.com/reload]: removed, was app2-back-database',
    'app2-back was changed: deployment backend/app2-back .spec.template.spec.containers[backend].env[DB_SSLMODE]: removed, was {"name":"DB_SSLMODE","value":"verify-full"}',
    `app2-back was changed: deployment backend/app2-back .spec.template.spec.containers[backend].image: traefik/whoami:v1.10 (kubectl-set), was ${image.slice(0, 60)}…`,
    'app2-front was changed: serviceaccount frontend/app2-front is missing',
    'app2-front was changed: deployment frontend/app2-front .metadata.labels[app.kubernetes.io/managed-by]: removed, was Helm',
    'app2-front was changed: deployment frontend/app2-front .spec.replicas: 4 (kubectl), was 2',
    'app2-front was changed: deployment frontend/app2-front .spec.template.spec.containers[nginx].resources.limits.memory: 300Mi (kubectl-patch), was 256Mi',
  ].sort();
  const [status, diff] = [await succeeds('status'), await succeeds('diff-app', 'app2')];
  const install = await installApp2();
  for (const text of [status.stdout, diff.stdout, install]) {
    const found = lines(text, / was changed: /).map((line) => line.replace(/^drift +/, ''));
    assert.equal(found.sort(), expected);
    assert.not.match(text, new RegExp(`${password}|${Buffer.from(password).toString('base64')}`));
  }
  assert.match(install, /installing: devops, app2-back, app2-front/);
  const again = await installApp2();
  assert.match(again, unchanged);
  // What the edit added besides helm's fields stays and is reported.
  const added = /env\[DB_SSLMODUS\] was added by kubectl-edit; an install keeps it: remove it by hand/;
  assert.is(lines(again, added).length, 1);
  await somebody('kubectl -n backend set env deployment app2-back DB_SSLMODUS-');
  assert.match(await somebody('kubectl -n frontend get deployment app2-front -o yaml'), /some: note/);
});

people('a rollback also reverts manual changes', async () => {
  await somebody('kubectl -n frontend scale deployment app2-front --replicas=5');
  const { stderr } = await succeeds('rollback', 'app2-front', '--yes');
  assert.match(stderr, /\.spec\.replicas: 5 \(kubectl\), was 2/);
  assert.is(await replicas(), '2');
});

people('a rollback that brings back an autoscaler keeps the number of pods', async () => {
  await withFile(settingsFile(), (text) => text.replace('enabled: true', 'enabled: false'), installApp2);
  const seen = await somebody(`
    kubectl -n backend get deployment app2-back --watch -o jsonpath='{.spec.replicas} ' &
    ./run rollback app2-back --yes > /dev/null 2>&1
    kill $!`);
  assert.match(seen, /^2 /);
  assert.not.match(seen, /\b1\b/);
  assert.match(await installApp2(), unchanged);
});

people('replicas set by another autoscaler are kept until it is deleted', async () => {
  await somebody(`
    kubectl -n frontend autoscale deployment app2-front --min=4 --max=6
    kubectl -n frontend wait deployment/app2-front --for=jsonpath={.spec.replicas}=4 --timeout=180s`);
  assert.match((await succeeds('diff-app', 'app2')).stdout, /app2-front: no difference/);
  await somebody('kubectl -n frontend label service app2-front app.kubernetes.io/name=other --overwrite');
  assert.match(await installApp2(), /installing: app2-front/);
  // helm set the autoscaler's number; it was never different in between.
  assert.match(await somebody('helm -n frontend get manifest app2-front'), /^ {2}replicas: 4$/m);
  assert.match(await installApp2(), unchanged);
  await somebody('kubectl -n frontend delete horizontalpodautoscaler app2-front');
  assert.match(await installApp2(), /installing: app2-front/);
  assert.is(await replicas(), '2');
});

people('pods that cannot be created are reported with the reason', async () => {
  // The API server may admit the first pods before it knows the quota.
  await somebody(`
    kubectl -n backend scale deployment app2-back --replicas=0
    kubectl -n frontend create quota team --hard=pods=1
    kubectl -n frontend wait quota/team --for=jsonpath={.status.hard.pods}=1 --timeout=180s
    for attempt in {1..12}
    do kubectl -n frontend delete pods -l app.kubernetes.io/instance=app2-front
      kubectl -n frontend wait deployment/app2-front --for=condition=ReplicaFailure --timeout=5s && break
    done`);
  const told = /app2-front: deployment frontend\/app2-front has \d of 2 pods ready: .*exceeded quota: team/;
  const { stdout } = await succeeds('status');
  assert.match(stdout, told);
  const off = 'app2-back: deployment backend/app2-back was scaled to 0, which turns its autoscaler off';
  assert.match(stdout, off);
  await somebody('kubectl -n backend scale deployment app2-back --replicas=1');
  assert.match(await installApp2(), told);
});

/** Starts a helm that has to wait, and returns once its release has this status. */
async function startHelm(words: string, status: string) {
  const script = `eval "$(./run env)"; exec helm -n frontend ${words} --wait --timeout 300s`;
  const helm = spawn('bash', ['-c', script], { cwd: sandbox.folder, env: sandbox.env });
  const end = ended(helm);
  const found = `kubectl -n frontend get secrets -l owner=helm,status=${status} -o name`;
  await until(async () => {
    if (helm.exitCode !== null) assert.unreachable((await end).stderr);
    return (await somebody(found)) !== '';
  }, status);
  const kill = () => {
    helm.kill('SIGKILL');
    return end;
  };
  return { pid: helm.pid, kill };
}

people('what another helm is changing is not touched, and repaired if that helm was killed', async () => {
  const values = '--reuse-values --set-string resources.requests.cpu=60m';
  const helm = await startHelm(`upgrade app2-front charts/frontend ${values}`, 'pending-upgrade');
  const busy = `app2-front is pending-upgrade: helm is still working on it\n.*process ${helm.pid} `;
  for (const words of ['install-app app2', 'rollback app2-front --yes', 'uninstall-app app2 --yes'])
    await fails(words.split(' '), new RegExp(busy));
  await helm.kill();
  await somebody('kubectl -n frontend delete quota team');
  assert.match(await installApp2(), /repairing app2-front: a killed run left it pending-upgrade/);
});

people('an uninstall that was killed is finished, and the release installed', async () => {
  const finalizers = (value: string) =>
    somebody(
      `kubectl -n frontend patch service app2-front --type merge -p '{"metadata":{"finalizers":${value}}}'`,
    );
  await finalizers('["example.com/hang"]');
  await (await startHelm('uninstall app2-front', 'uninstalling')).kill();
  await finalizers('null');
  assert.match(await installApp2(), /repairing app2-front: a killed run left it uninstalling/);
  assert.is(await replicas(), '2');
});

people('nothing is installed while a namespace is being deleted; it is recreated afterwards', async () => {
  await somebody(`
    kubectl -n frontend create configmap hang
    kubectl -n frontend patch configmap hang -p '{"metadata":{"finalizers":["example.com/hang"]}}'
    kubectl delete namespace frontend --wait=false
    kubectl wait namespace/frontend --for=condition=NamespaceFinalizersRemaining --timeout=180s`);
  assert.equal(lines((await succeeds('status')).stdout, /drift/), [
    'drift        devops: namespace frontend is being deleted',
  ]);
  await fails(['install-app', 'app2'], /namespace frontend is being deleted\n(?:.*\n)*.*example\.com\/hang/);
  await somebody(`
    kubectl -n frontend patch configmap hang --type merge -p '{"metadata":{"finalizers":null}}'
    kubectl wait --for=delete namespace/frontend --timeout=180s`);
  assert.match(await installApp2(), /devops was changed: namespace frontend is missing/);
  assert.is(await replicas(), '2');
});

people('an object created by others is not adopted, and the error says how to adopt it', async () => {
  await succeeds('uninstall-app', 'app2', '--yes');
  await somebody('kubectl -n frontend create serviceaccount app2-front');
  const adopt = /kubectl -n frontend delete serviceaccount app2-front.*-- --take-ownership/;
  await fails(['install-app', 'app2'], adopt);
  await succeeds('install-app', 'app2', '--', '--take-ownership');
  assert.match(await installApp2(), unchanged);
});
