import { podsOf } from '../pods.ts';
import { type Stack, until } from '../stack.ts';

const login = async (stack: Stack): Promise<string> => {
  const { data } = await stack.get('secret', '-n', 'backend', 'app1-back-database');
  return Buffer.from(data.DB_USER, 'base64').toString();
};

const uids = async (stack: Stack) =>
  (await podsOf(stack, 'backend', 'app.kubernetes.io/instance=app1-back'))
    .filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === 'server')
    .map(({ metadata }) => metadata.uid);

/** A new login from Vault reaches app1's Secret, the operator restarts its pods, and they log in with it. */
export async function aNewLoginOfVaultReachesApp1(stack: Stack): Promise<void> {
  const before = { login: await login(stack), pods: await uids(stack) };
  // The operator requests a new login when its object changes, as at the end of a lease.
  const object = ['vaultdynamicsecret', '-n', 'backend', 'app1-back-database'];
  const patch = (renewalPercent: number) =>
    stack.kubectl(['patch', ...object, '--type=merge', '-p', JSON.stringify({ spec: { renewalPercent } })]);
  const { spec } = await stack.get(...object);
  await patch(spec.renewalPercent - 1);
  await until('another login in the Secret', 60, async () => (await login(stack)) !== before.login);
  await until('new pods', 150, async () => {
    const now = await uids(stack);
    return now.length >= before.pods.length && now.every((uid) => !before.pods.includes(uid));
  });
  await patch(spec.renewalPercent);
  await stack.kubectl(['rollout', 'status', 'deployment/app1-back', '-n', 'backend', '--timeout=120s']);
  await stack.succeeds('test-app', 'app1');
}
