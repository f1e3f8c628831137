import { spawn } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { constants, homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ended, ended } from '../../lib/runner/tests/rig/ended.ts';
import { randomOf } from '../../lib/runner/tests/rig/random-graph.ts';
import { tasks } from '../../tasks/all.ts';
import { makeSandbox, type Sandbox } from '../integration/sandbox.ts';
import { bash } from '../rig/programs.ts';
import { type Disturbance, disk, disturbance, enterMachine } from './disturbances.ts';
import { checkData, faultsOf, files, forget, isDegraded, remains, secrets } from './invariants.ts';
import { chooseTrial, environment, leftOut, type Trial, trials } from './tasks.ts';

/*
 * Chaos: each round disturbs a task at a random moment, runs it again, and checks that nothing was lost, left or
 * leaked: `npm run test:chaos [-- --rounds N] [--seed S] [--only WORDS] [--env NAME]`.
 * Round i has the seed S + i, so one round can be repeated.
 */

const rounds = Number(process.env.TEST_ROUNDS || 20);
const firstSeed = Number(process.env.TEST_SEED || Math.floor(Math.random() * 1e6));
const hangMs = 600_000;

const test = suite('chaos');
let sandbox: Sandbox;
let home: readonly string[] = [];
/** How much slower than an idle machine this one is. */
let pace = 1;
let well = false;

async function disturb(
  { words, ms, endless }: Trial,
  what: Disturbance,
  share: number,
): Promise<Ended & { said: string }> {
  const afterMs = Math.round(share * ms * pace);
  const env = { ...sandbox.env, ...what.env?.(afterMs) };
  const child = spawn('./run', words, { cwd: sandbox.folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = ended(child);
  const timers = [setTimeout(() => child.kill('SIGKILL'), hangMs)];
  await Promise.race([pause(afterMs), end]);
  const over = child.exitCode !== null || child.signalCode !== null;
  const state = sandbox.path('.state', environment);
  const hit = over ? 'it was over' : await what.strike({ child, state });
  if (endless) timers.push(setTimeout(() => child.kill('SIGTERM'), 5000));
  if (what.heal && !over) timers.push(setTimeout(() => what.heal?.(), 20_000));
  const result = await end;
  for (const timer of timers) clearTimeout(timer);
  await what.heal?.();
  // As a shell has it: a run that was hit before it could listen ends by the signal itself.
  const exitCode = result.exitCode ?? 128 + constants.signals[child.signalCode ?? 'SIGKILL'];
  return { ...result, exitCode, said: `${hit} after ${afterMs} ms; exit code ${exitCode}` };
}

/** Runs the task again, and starts servers that were hit and that it did not start. */
async function rerun({ words, done, endless, after = [] }: Trial, what: Disturbance): Promise<void> {
  if (!endless) {
    const { exitCode, stderr } = await sandbox.task(...words);
    if (exitCode !== 0 && !done?.test(stderr)) {
      assert.match(stderr, /start-k8s/, `the rerun failed: ${stderr.slice(-3000)}`);
      await sandbox.succeeds('start-k8s');
      await sandbox.succeeds(...words);
    }
  }
  for (const back of after) await sandbox.succeeds(...back);
  if (what.hitsServers && (await isDegraded(sandbox))) await sandbox.succeeds('start-k8s');
}

async function round(trial: Trial, what: Disturbance, share: number, seed: number): Promise<string> {
  await trial.change?.(sandbox, seed);
  for (const words of trial.before ?? []) await sandbox.succeeds(...words);
  if (trial.removes) forget();
  const { said, stdout, stderr, exitCode } = await disturb(trial, what, share);
  try {
    assert.not.match(stderr, /^ +at .*:\d+|Internal error:/m);
    if (what.exitCode !== undefined && exitCode !== 0)
      assert.equal([exitCode, await remains(sandbox)], [what.exitCode, []]);
    await rerun(trial, what);
    const lost = await checkData(sandbox, seed);
    const printed = [...secrets].filter((secret) => (stdout + stderr).includes(secret));
    const changed = (await files(sandbox.home)).filter((line) => !home.includes(line));
    const faults = [
      ...[...lost, ...(await faultsOf(sandbox))],
      ...(printed.length > 0 ? ['a secret was printed'] : []),
      ...changed.map((line) => `changed in the user’s home: ${line}`),
    ];
    assert.equal(faults, [], faults.join('\n'));
  } catch (error) {
    const { stdout: logs } = await bash(`tail -n 4 .state/${environment}/logs/*.log`, sandbox);
    const run = `--- ${trial.words.join(' ')}: ${said}\n${stderr.slice(-3000)}`;
    (error as Error).message += `\n${run}\n--- logs\n${logs.slice(-6000)}`;
    throw error;
  }
  return said;
}

/** A user's files, and settings with another environment. */
async function prepare(): Promise<void> {
  sandbox = await makeSandbox();
  sandbox.removeAfter(test, environment, 'scratch');
  const at = (name: string) => `${sandbox.home}/${name}`;
  for (const folder of ['.kube', '.gnupg', '.config/helm']) {
    await mkdir(at(folder), { recursive: true, mode: 0o700 });
    await writeFile(at(`${folder}/config`), 'current-context: of-the-user\n');
  }
  const { MINIKUBE_HOME = join(homedir(), '.minikube') } = process.env;
  const own = disk === undefined ? { MINIKUBE_HOME } : { CLUSTER_PROVIDER: 'embedded' };
  Object.assign(sandbox.env, { KUBECONFIG: at('.kube/config'), ENVIRONMENT: environment }, own);
  const [from, to] = [environment, 'scratch'].map((name) => sandbox.path('environments', name));
  await cp(from as string, to as string, { recursive: true });
  // For check-secrets.
  const git = 'git init -q && git add -A && git -c user.name=a -c user.email=a@example.com commit -qm all';
  assert.is((await bash(git, sandbox)).exitCode, 0);
  home = await files(sandbox.home);
}

/** A new environment, at first and after a round that has failed. */
async function renew(): Promise<void> {
  forget();
  await sandbox.task('destroy-environment', '--yes');
  await sandbox.succeeds('create-environment');
  const started = performance.now();
  await sandbox.succeeds('install-tier', 'apps');
  // Not of create-environment, which takes far longer on minikube than on the embedded cluster.
  pace = Math.max(1, (performance.now() - started) / 10_000);
  assert.equal(await checkData(sandbox, 0), []);
}

/** Says at once how a round ended, since hours may follow. */
async function told(name: string, body: () => Promise<string>): Promise<void> {
  const started = performance.now();
  try {
    if (!well) await renew();
    well = false;
    const said = await body();
    well = true;
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    process.stdout.write(`\n  ok ${name}: ${said}; ${seconds} s\n`);
  } catch (error) {
    process.stdout.write(`\n  FAILED ${name}: ${(error as Error).message}\n`);
    throw error;
  }
}

test('every task has a trial, or a reason for none', () => {
  const known = [...trials.map(({ words }) => words[0]), ...Object.keys(leftOut)];
  const unknown = tasks.filter((task) => !task.private && !known.includes(task.name));
  assert.is(unknown.map(({ name }) => name).join(), '');
});

for (let seed = firstSeed; seed < firstSeed + rounds; seed += 1) {
  const random = randomOf(seed);
  const trial = chooseTrial(random);
  const what = disturbance(random);
  const share = random();
  const words = [...(trial.before ?? []), trial.words].map((words) => words.join(' '));
  const name = `${words.join(' , ')}: ${what.name}`;
  if (!name.includes(process.env.TEST_ONLY ?? '')) continue;
  test(`${name}; again: npm run test:chaos -- --seed ${seed} --rounds 1`, () =>
    told(`seed ${seed}: ${name}`, () => round(trial, what, share, seed)));
}

test.before(prepare);

if (disk === undefined && !process.env.TEST_ENVIRONMENT)
  process.exitCode = await enterMachine(fileURLToPath(import.meta.url));
else test.run();
