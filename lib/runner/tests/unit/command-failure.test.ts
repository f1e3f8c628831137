import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { shorten } from '../../command-failure.ts';

test('a command that is cut keeps what it does', () => {
  const long = `/home/${'x'.repeat(90)}/kubeconfig`;
  assert.is(
    shorten(`kubectl --kubeconfig ${long} --context some get nodes -o json`),
    'kubectl get nodes -o json',
  );
  assert.is(
    shorten(`helm --kubeconfig '${long} of me' --kube-context=some --namespace core rollback devops 3`),
    'helm --namespace core rollback devops 3',
  );
  assert.is(
    shorten(
      `helmfile --kubeconfig ${long} --kube-context c --state-values-file ${long} --state-values-set-string environment=x -l name=a sync`,
    ),
    'helmfile -l name=a sync',
  );
  assert.is(shorten('echo --context'), 'echo --context');
});

test.run();
