import { spawn } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ended, ended } from '../../lib/runner/tests/rig/ended.ts';
import { randomOf } from '../../lib/runner/tests/rig/random-graph.ts';
import { tasks } from '../../tasks/all.ts';
import { makeSandbox, type Sandbox } from '../integration/sandbox.ts';
import { bash } from '../rig/bash.ts';
import { forget, losses, remember } from './data.ts';
import { type Disturbance, disturbance } from './disturbances.ts';
import { collectSecrets, faultsOf, files, remains } from './invariants.ts';
import { disk, enterMachine } from './machine.ts';
import { chooseTrial, environment, leftOut, type Trial, trials } from './tasks.ts';

/*
 * Chaos: each round disturbs a task at a random moment, runs it again, and checks that nothing was lost, left or leaked:
 * `npm run test:chaos [-- --rounds N] [--seed S] [--only WORDS] [--env NAME]`.
 * Round i has the seed S + i, so one round can be repeated.
 */

const rounds = Number(process.env.TEST_ROUNDS || 20);
const firstSeed = Number(process.env.TEST_SEED || Math.floor(Math.random() * 1e6));
/** Milliseconds after which a run hangs. */
const hangMs = 600_000;

const test = suite('chaos');
const secrets = new Set<string>();
let sandbox: Sandbox;
let home: readonly string[] = [];
/** How much slower than an idle machine this one is. */
let pace = 1;
let well = false;

async function succeeds(...words: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await sandbox.task(...words);
  assert.is(exitCode, 0, `${words.join(' ')}: ${stderr.slice(-3000)}`);
}

/** Runs a task and disturbs it. */
async function disturbed(
  { words, ms, endless }: Trial,
  what: Disturbance,
  share: number,
): Promise<Ended & { hit: string }> {
  const afterMs = Math.round(300 + share * ms * pace);
  const env = { ...sandbox.env, ...what.env?.(afterMs) };
  const child = spawn('./run', words, { cwd: sandbox.folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = ended(child);
  const timer = setTimeout(() => child.kill('SIGKILL'), hangMs);
  await Promise.race([pause(afterMs), end]);
  const over = child.exitCode !== null || child.signalCode !== null;
  const state = sandbox.path('.state', environment);
  const hit = over ? 'it was over' : await what.strike({ child, state });
  if (endless) setTimeout(() => child.kill('SIGTERM'), 5000);
  if (what.heal && !over) setTimeout(() => what.heal?.(), 20_000);
  const result = await end;
  clearTimeout(timer);
  await what.heal?.();
  return { ...result, hit: `${hit} after ${afterMs} ms` };
}

async function round(trial: Trial, what: Disturbance, share: number, number: number): Promise<string> {
  await trial.change?.(sandbox, number);
  for (const words of trial.before ?? []) await succeeds(...words);
  const kept = !trial.removes && !trial.words.includes('scratch');
  if (kept && !trial.before?.some(([task]) => task === 'stop-k8s')) await remember(sandbox, number);
  if (trial.removes) forget();
  await collectSecrets(sandbox, secrets);

  const first = await disturbed(trial, what, share);
  const said = `${first.hit}; exit code ${first.exitCode}`;
  const told = `\n--- ${trial.words.join(' ')}: ${said}\n${first.stderr.slice(-3000)}`;
  try {
    assert.not.match(first.stderr, /^ +at .*:\d+|internal error|unexpected error/im);
    if (what.exitCode !== undefined && first.exitCode !== 0)
      assert.equal([first.exitCode, await remains(sandbox)], [what.exitCode, []]);

    const needsCluster = !/^(create|start|stop|destroy|verify)-/.test(trial.words[0] ?? '');
    const { cluster } = JSON.parse((await sandbox.task('status', '--json')).stdout || '{"cluster":{}}');
    if (needsCluster && cluster.state !== 'running') await succeeds('start-k8s');
    if (!trial.endless) {
      const again = await sandbox.task(...trial.words);
      const fine = again.exitCode === 0 || trial.done?.test(again.stderr);
      assert.ok(fine, `the rerun failed: ${again.stderr.slice(-3000)}`);
    }
    for (const words of trial.after ?? []) await succeeds(...words);
    await collectSecrets(sandbox, secrets);
    for (const secret of secrets)
      assert.not.ok((first.stdout + first.stderr).includes(secret), 'a secret was printed');
    const changed = (await files(sandbox.home)).filter((line) => !home.includes(line));
    const faults = [
      ...(await faultsOf(sandbox, secrets)),
      ...(await losses(sandbox)),
      ...changed.map((line) => `changed in the user’s home: ${line}`),
    ];
    assert.equal(faults, [], faults.join('\n'));
  } catch (error) {
    (error as Error).message += told;
    throw error;
  }
  return said;
}

async function prepare(): Promise<void> {
  sandbox = await makeSandbox();
  const editor = join(sandbox.home, 'editor');
  await writeFile(editor, '#!/bin/sh\nsed -i /chaos/d "$1"; echo "chaos: value-$$-of-an-editor" >> "$1"\n', {
    mode: 0o755,
  });
  for (const folder of ['.kube', '.gnupg', '.config/helm']) {
    await mkdir(join(sandbox.home, folder), { recursive: true, mode: 0o700 });
    await writeFile(join(sandbox.home, folder, 'config'), 'current-context: of-the-user\n');
  }
  Object.assign(sandbox.env, {
    EDITOR: editor,
    KUBECONFIG: join(sandbox.home, '.kube/config'),
    ENVIRONMENT: environment,
  });
  if (disk !== undefined) sandbox.env.CLUSTER_PROVIDER = 'embedded';
  await cp(sandbox.path('environments', environment), sandbox.path('environments/scratch'), {
    recursive: true,
  });
  const git = 'git init -q && git add -A && git -c user.name=a -c user.email=a@example.com commit -qm all';
  assert.is((await bash(git, sandbox)).exitCode, 0);
  home = await files(sandbox.home);
}

/** A cluster like new, after a round has failed. */
async function recover(): Promise<void> {
  if (well) return;
  forget();
  await sandbox.task('destroy-environment', '--yes');
  const started = performance.now();
  await succeeds('create-environment');
  pace = Math.max(1, (performance.now() - started) / 20_000);
  await succeeds('install-tier', 'apps');
}

test('every task has a trial, or a reason for none', () => {
  const known = new Set([...trials.map(({ words }) => words[0]), ...Object.keys(leftOut)]);
  const own = tasks.filter((task) => !task.private).map(({ name }) => name);
  assert.equal(
    own.filter((name) => !known.has(name)),
    [],
  );
});

/** Tells at once how a round ended: thousands of seconds may follow. */
async function protocolled(name: string, body: () => Promise<string>): Promise<void> {
  const started = performance.now();
  try {
    await recover();
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

for (let seed = firstSeed; seed < firstSeed + rounds; seed += 1) {
  const random = randomOf(seed);
  const trial = chooseTrial(random);
  const what = disturbance(random);
  const share = random();
  const name = `${trial.words.join(' ')}: ${what.name}`;
  if (!name.includes(process.env.TEST_ONLY ?? '')) continue;
  const again = `npm run test:chaos -- --seed ${seed} --rounds 1`;
  test(`${name}; again: ${again}`, () =>
    protocolled(`seed ${seed}: ${name}`, () => round(trial, what, share, seed)));
}

test.before(prepare);
test.after(() => sandbox.remove(environment, 'scratch'));

const file = fileURLToPath(import.meta.url);
if (disk === undefined && !process.env.TEST_ENVIRONMENT) process.exitCode = await enterMachine(file);
else test.run();
