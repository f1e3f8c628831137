import { suite } from 'uvu';
import { removePods } from './pods.ts';
import { connectionsAreThoseOfTheTable, enforcesPolicies } from './scenarios/connections.ts';
import * as deployment from './scenarios/deployment.ts';
import * as failures from './scenarios/failures.ts';
import { ownValuesReachThePods } from './scenarios/own-values.ts';
import { everythingIsBroughtBack, vaultIsBackedUpBySchedule } from './scenarios/restore.ts';
import { breaches, isRolledBack } from './scenarios/rollbacks.ts';
import { aChangeReachesVaultsPods, drainsNeverSealVault } from './scenarios/vault-pods.ts';
import { openStack, type Stack } from './stack.ts';

/*
 * The deployed environment on real pods, through its tasks and as its users see it. Needs a cluster without such a
 * deployment.
 */

/** Keep the deployment, and reuse an existing one. */
const keep = process.env.TEST_KEEP === '1';
/** Run only the tests whose name contains this text, on an existing deployment. */
const only = process.env.TEST_ONLY ?? '';

const test = suite('e2e');
const stack = await openStack();
const before = await deployment.clusterWideObjects(stack.user);
let deployed = false;

/** Can only fail on a network that does not enforce NetworkPolicies. */
const needEnforcement = [
  'only the connections of the table are possible',
  'rolled back: a policy that blocks the database',
];
const enforced = await enforcesPolicies(stack);
if (!enforced) {
  for (const name of needEnforcement) test.skip(name);
  process.stdout.write(
    `skipped, since this cluster's network does not enforce NetworkPolicies: ${needEnforcement.join('; ')}\n`,
  );
}

/** If the deployment fails, the other tests are skipped: they would only fail for the same reason. */
function scenario(name: string, run: (stack: Stack) => Promise<void>): void {
  if (!name.includes(only) || (!enforced && needEnforcement.includes(name))) return;
  test(name, async () => {
    if (!deployed) throw new Error('nothing was tried: the environment is not deployed');
    const started = performance.now();
    try {
      await run(stack);
    } finally {
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      process.stdout.write(`\n  ${name}: ${seconds} s\n`);
    }
  });
}

test('the environment is created and its applications are installed', async () => {
  await deployment.deploy(stack);
  deployed = true;
});

scenario('status is green', deployment.statusIsGreen);
scenario(
  'a second clone deploys the same, and needs the committed files',
  deployment.aSecondCloneChangesNothing,
);
scenario('every pod is ready', deployment.podsAreReady);
scenario('both applications log in to the database, by Vault and by SOPS', deployment.logsIn);
scenario('a new login of Vault reaches app1 and restarts it', deployment.aNewLoginOfVaultReachesApp1);
scenario('an application runs with values of its own', ownValuesReachThePods);
scenario('only the connections of the table are possible', connectionsAreThoseOfTheTable);
scenario('a killed database pod loses no data', failures.databaseSurvivesItsPod);
scenario('a killed Vault pod loses no data and is unsealed by init-vault', failures.vaultSurvivesItsPod);
scenario('a node drain loses no request', failures.aDrainLosesNoCall);
scenario('a change of Vault’s chart reaches its pods, also after a killed run', aChangeReachesVaultsPods);
scenario('drains of all nodes in a row never seal Vault', drainsNeverSealVault);
for (const [name, breach] of Object.entries(breaches))
  scenario(`rolled back: ${name}`, (opened) => isRolledBack(opened, breach));
scenario('load scales app2', failures.loadScalesApp2);
scenario('backup: the CronJob saves a snapshot of Vault', vaultIsBackedUpBySchedule);
scenario('backup: destroyed data are restored by the runbook', everythingIsBroughtBack);
scenario('no password in explanations, events and helm', deployment.nothingIsLeaked);

test.after(() => removePods(stack));

if (!keep)
  test('destroy-environment restores the initial state of the cluster', () =>
    deployment.nothingIsLeftBehind(stack, before));

test.run();
