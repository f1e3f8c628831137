import { appendFile, rm, writeFile } from 'node:fs/promises';
import { pick } from '../../lib/runner/tests/rig/random-graph.ts';
import type { Sandbox } from '../integration/sandbox.ts';

/** A task to disturb, in an environment with everything installed. */
export type Trial = {
  readonly words: readonly string[];
  /** About how long it takes, on an idle machine. */
  readonly ms: number;
  /** How often it is chosen; 1 unless given. */
  readonly weight?: number;
  /** Changes files, so that it has something to do. */
  readonly change?: (sandbox: Sandbox, number: number) => Promise<unknown>;
  readonly before?: readonly (readonly string[])[];
  /** Tasks that lead back to an environment with everything installed. */
  readonly after?: readonly (readonly string[])[];
  /** Why a rerun may refuse, when the first run had already done all. */
  readonly done?: RegExp;
  readonly removes?: true;
  readonly endless?: true;
};

const yes = '--yes';

/** Values that differ in each round, so that releases change. */
const otherValues = (sandbox: Sandbox, number: number) =>
  writeFile(
    sandbox.path('environments', environment, 'zz-chaos.yaml'),
    `releases:
  app1-back: { replicas: ${2 + (number % 3)}, podAnnotations: { round: "${number}" } }
  app2-front: { podAnnotations: { round: "${number}" } }
  postgresql: { podAnnotations: { round: "${number}" } }
`,
  );

const otherVault = (sandbox: Sandbox, number: number) =>
  appendFile(sandbox.path('vault/policies/operations.hcl'), `# ${number}\n`);

const without =
  (...names: readonly string[]) =>
  (sandbox: Sandbox) =>
    rm(sandbox.path(...names), { recursive: true, force: true });

export const environment = process.env.TEST_ENVIRONMENT || 'development';
const uninstall = (app: string) => ['uninstall-app', app, yes];
const destroy = ['destroy-environment', yes];
const all = ['install-all'];
const addApp3 = ['new-app', 'app3', '--secrets', 'sops'];
const removeApp3 = ['remove-app', 'app3', yes];
const apps = ['install-tier', 'apps'];

export const trials: readonly Trial[] = [
  { words: ['create-environment'], ms: 3000, change: otherValues, weight: 2 },
  { words: ['create-environment'], ms: 12_000, before: [['stop-k8s']], weight: 2 },
  { words: ['create-environment'], ms: 25_000, before: [destroy], after: [apps], removes: true },
  { words: ['create-k8s'], ms: 2000 },
  { words: ['start-k8s'], ms: 10_000, before: [['stop-k8s']], weight: 3 },
  { words: ['stop-k8s'], ms: 4000, after: [['start-k8s']], weight: 2 },
  { words: destroy, ms: 4000, after: [['create-environment'], apps], removes: true },
  { words: ['destroy-k8s', yes], ms: 4000, after: [['create-environment'], apps], removes: true },
  { words: ['verify-environment', '--env', 'scratch'], ms: 60_000 },
  { words: all, ms: 15_000, change: otherValues, weight: 2 },
  { words: apps, ms: 12_000, change: otherValues, weight: 2 },
  { words: ['install-app', 'app1'], ms: 9000, change: otherValues, weight: 2 },
  // A first install that is interrupted is undone by helm, which can be interrupted, too.
  { words: apps, ms: 12_000, before: [uninstall('app1'), uninstall('app2')], weight: 3 },
  { words: uninstall('app1'), ms: 4000, after: [apps] },
  { words: ['rollback', 'app1-back', yes], ms: 6000, before: [all], change: otherValues, after: [all] },
  { words: ['test'], ms: 6000 },
  { words: ['test-app', 'app1'], ms: 4000 },
  { words: ['diff'], ms: 4000, change: otherValues, after: [all] },
  { words: ['diff-tier', 'apps'], ms: 3000 },
  { words: ['diff-app', 'app1'], ms: 3000 },
  { words: ['status'], ms: 1500 },
  { words: ['services'], ms: 500 },
  { words: ['env'], ms: 500 },
  { words: ['forward'], ms: 4000, endless: true },
  { words: ['render', '--output', 'rendered'], ms: 4000, change: without('rendered') },
  { words: ['init-helmfile'], ms: 1000 },
  { words: ['init-vault'], ms: 3000, change: otherVault, weight: 2 },
  { words: ['rotate-database-password', yes], ms: 15_000, weight: 3 },
  { words: ['rotate-keys', yes], ms: 12_000, weight: 2 },
  { words: ['make-secrets'], ms: 1500 },
  { words: ['check-secrets'], ms: 2000 },
  { words: ['import-gpg-keys'], ms: 1500 },
  { words: ['backup-database'], ms: 4000 },
  { words: ['backup-vault'], ms: 3000 },
  {
    words: ['restore-database', 'backup', '--replace', yes],
    ms: 6000,
    change: without('backup'),
    before: [['backup-database', 'backup']],
    weight: 2,
  },
  {
    words: ['restore-vault', 'backup', yes],
    ms: 5000,
    change: without('backup'),
    before: [['backup-vault', 'backup']],
    weight: 2,
  },
  { words: addApp3, ms: 2500, after: [removeApp3], done: /cannot be the name/ },
  { words: removeApp3, ms: 2000, before: [addApp3], done: /app3/ },
  {
    words: ['new-environment', 'staging'],
    ms: 2500,
    change: without('environments/staging'),
    done: /cannot be the name/,
  },
  { words: ['install-tools'], ms: 1000 },
  { words: ['verify-dependencies'], ms: 1500 },
  { words: ['list'], ms: 300 },
  { words: ['graph', 'create-environment'], ms: 300 },
  { words: ['completion', 'bash'], ms: 300 },
];

export const leftOut: { readonly [task: string]: string } = {
  dashboard: 'needs a terminal',
  'edit-secrets': 'needs a terminal',
  update: 'asks registries',
  'build-backend-verification': 'needs Docker',
  'build-push-backend-verification': 'needs Docker',
  'build-toolset': 'needs Docker',
  'test-ingress': 'the embedded cluster has no controller',
};

const weighed = trials.flatMap((trial) => Array<Trial>(trial.weight ?? 1).fill(trial));
export const chooseTrial = (random: () => number): Trial => pick(random, weighed);
