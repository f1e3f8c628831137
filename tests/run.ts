import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import pMap, { pMapSkip } from 'p-map';
import { root } from '../lib/ground/project.ts';
import { toolEnvironment } from '../lib/tools/tools.ts';

/*
 * Runs the tests: `node --import tsx tests/run.ts [check] [unit] [integration] [processes] [browser] [charts]`, all of
 * these by default, or `e2e --context NAME [--env NAME] [--only WORDS] [--keep]`, `minikube [--env NAME] [--only
 * WORDS]`, or `chaos [--rounds N] [--seed S] [--env NAME]`. Each file runs in its own process (the unit tests in one
 * per package), with a time limit that uvu lacks. Ends with `N passed, N failed` for all, and fails when fewer than
 * `testing.minimum` of package.json passed: a file that forgets `test.run()` passes with no test at all.
 */

type Suite = {
  /** Time limit for one file. */
  readonly minutes: number;
  /** Needs helm, vault and the others on PATH. */
  readonly tools?: true;
  /** Runs only on request, and shows its output while it runs. */
  readonly asked?: true;
};

/** In the order in which they start: the longest files are whole clusters, the shortest are charts. */
const suites: { readonly [name: string]: Suite } = {
  check: { minutes: 5 },
  unit: { minutes: 5 },
  // Real servers, and whole clusters.
  integration: { minutes: 30, tools: true },
  // Processes, signals and pipes, with real ones.
  processes: { minutes: 5 },
  // Pages in a real browser; without one, tests are reported and counted as skipped.
  browser: { minutes: 3 },
  charts: { minutes: 5, tools: true },
  // On a cluster with real pods, named on the command line.
  e2e: { minutes: 90, asked: true },
  // Creates clusters with the real minikube.
  minikube: { minutes: 120, asked: true },
  // Disturbs every task at random moments, for as many rounds as asked for.
  chaos: { minutes: 1440, tools: true, asked: true },
};

/** Whole environments, which take longest, so they start before the other files. */
const longest = ['tests/integration/environment.test.ts', 'tests/integration/applications.test.ts'];

/** One process; its output is shown only when it fails or skips tests, unless the suite is run on request. */
type Job = { readonly label: string; readonly command: readonly string[]; readonly suite: Suite };

/** Test folders of the project and of the runner, which is a separate package. */
const folders = ['tests', 'lib/runner/tests'];
const bin = (name: string) => join(root, 'node_modules', '.bin', name);
const byTsx = [process.execPath, '--import', 'tsx'];

async function jobsOf(name: string, suite: Suite): Promise<Job[]> {
  const job = (label: string, ...command: readonly string[]): Job => ({ label, command, suite });
  // Types, those of scripts for the browser, and style count as a test each.
  if (name === 'check')
    return [
      job('types', bin('tsc'), '--noEmit'),
      job('types of pages', bin('tsc'), '--noEmit', '-p', 'lib/runner/report/page'),
      job('style', bin('biome'), 'check', '--error-on-warnings', '.'),
    ];
  // All files of a folder in one process, because starting one for each takes longer than the tests.
  if (name === 'unit')
    return folders.map((folder) =>
      job(`${folder}/unit`, ...byTsx, bin('uvu'), `${folder}/unit`, '\\.test\\.ts$'),
    );
  const files = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(join(root, folder, name), { recursive: true }).catch(() => []);
      return names.filter((file) => file.endsWith('.test.ts')).map((file) => join(folder, name, file));
    }),
  );
  const all = files.flat().sort();
  const first = all.filter((file) => longest.includes(file));
  return [...new Set([...first, ...all])].map((file) => job(file, ...byTsx, file));
}

// Test runs as on a developer's machine, even in a CI job.
for (const variable of ['GITHUB_ACTIONS', 'GITLAB_CI']) delete process.env[variable];

const running = new Set<ChildProcess>();

/** A signal came: nothing new is started. */
let stopped = false;

/** Runs a command in its own process group and returns its exit code (null: killed) and output. */
function run(
  [command = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
  minutes: number,
  show = false,
) {
  return new Promise<{ exitCode: number | null; output: string; timedOut: boolean }>((resolve) => {
    const child = spawn(command, args, { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    let output = '';
    let timedOut = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
        if (show) process.stdout.write(chunk);
      });
    }
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child, 'SIGKILL');
    }, minutes * 60_000);
    child.once('error', (error) => {
      output += error.message;
    });
    child.once('close', (exitCode) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ exitCode, output, timedOut });
    });
  });
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // Already ended.
  }
}

/** uvu's closing lines. Its exit code alone is not enough: it also exits 0 when a `before` hook threw. */
function count(coloured: string, ok: boolean) {
  const output = stripVTControlCharacters(coloured);
  const number = (word: string): number =>
    sum([...output.matchAll(new RegExp(`^\\s*${word}:\\s+(\\d+)\\s*$`, 'gm'))].map(([, n]) => Number(n)));
  const [total, passed, skipped] = [number('Total'), number('Passed'), number('Skipped')];
  // The total is without the skipped ones.
  const failed = total - passed;
  return { passed, skipped, failed: failed === 0 && !(ok && total + skipped > 0) ? 1 : failed };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((one, other) => one + other, 0);

async function runJob({ label, command, suite }: Job, env: NodeJS.ProcessEnv) {
  const started = performance.now();
  const { exitCode, output, timedOut } = await run(command, env, suite.minutes, suite.asked);
  const ok = exitCode === 0;
  const isCheck = suite === suites.check;
  const counted = isCheck ? { passed: Number(ok), failed: Number(!ok), skipped: 0 } : count(output, ok);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const skipped = counted.skipped > 0 ? `, ${counted.skipped} skipped` : '';
  const result = counted.failed === 0 ? 'ok    ' : 'FAILED';
  process.stdout.write(`${result} ${label} (${counted.passed} passed${skipped}, ${seconds} s)\n`);
  if (counted.skipped > 0) process.stdout.write(output.replace(/^(?!.*(left out|skipped)).*\n?/gim, ''));
  if (timedOut) process.stdout.write(`  no end within ${suite.minutes} minutes\n`);
  if (counted.failed > 0 && !suite.asked) process.stdout.write(`${output.trimEnd().replace(/^/gm, '  ')}\n`);
  return { label, ...counted };
}

/**
 * Two more than there are cores, since jobs wait a quarter of their time. Each may start a whole cluster, hence the limit.
 */
const parallel = Math.min(availableParallelism() + 2, 4);

/**
 * PATH with the tools of the tests, installed by the project's tool manager. With `all`, also those that no environment
 * needs.
 */
async function withTools(all: boolean): Promise<string> {
  const options = ['--provider', 'embedded', '--output', 'plain', ...(all ? ['--tests'] : [])];
  // Building all of them takes up to an hour.
  const { exitCode } = await run([...byTsx, 'tasks.ts', 'install-tools', ...options], process.env, 60, true);
  if (exitCode !== 0 && !stopped) throw new Error('the tools that the tests need could not be installed');
  return toolEnvironment();
}

function refuse(message: string): never {
  process.stderr.write(`error: ${message}\n`);
  process.exit(2);
}

function commandLine() {
  const text = { type: 'string', default: '' } as const;
  const context = { ...text, default: process.env.CLUSTER_CONTEXT ?? '' };
  const keep = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({
      allowPositionals: true,
      options: { context, env: text, only: text, keep, rounds: text, seed: text },
    });
  } catch (error) {
    return refuse((error as Error).message);
  }
}

const { values, positionals: asked } = commandLine();
const unknown = asked.filter((name) => !Object.hasOwn(suites, name));
if (unknown.length > 0)
  refuse(`unknown suite ${unknown.join(', ')}; there are ${Object.keys(suites).join(', ')}`);
if (asked.includes('e2e') && values.context === '')
  refuse(
    'the end-to-end tests need a kube context: npm run test:e2e -- --context <name> (or CLUSTER_CONTEXT)',
  );
if (asked.includes('minikube') && process.getuid?.() === 0)
  refuse('minikube refuses root with its docker driver: run the tests as another user');

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stopped = true;
    for (const child of running) killGroup(child, 'SIGTERM');
    process.exitCode = signal === 'SIGINT' ? 130 : 143;
  });
}

const chosen = Object.entries(suites).filter(([name, suite]) =>
  asked.length === 0 ? !suite.asked : asked.includes(name),
);
const rendered = mkdtempSync(join(tmpdir(), 'rendered-'));
process.once('exit', () => rmSync(rendered, { recursive: true, force: true }));
const env: NodeJS.ProcessEnv = {
  ...process.env,
  // For tests/charts/environments.ts.
  TEST_RENDERED: rendered,
  ...(chosen.some(([, { tools }]) => tools) && {
    PATH: await withTools(chosen.some(([name]) => name === 'integration')),
  }),
  // Of e2e, minikube and chaos.
  TEST_CONTEXT: values.context,
  TEST_ENVIRONMENT: values.env,
  TEST_ONLY: values.only,
  TEST_KEEP: values.keep ? '1' : '',
  TEST_ROUNDS: values.rounds,
  TEST_SEED: values.seed,
};
const jobs = (await Promise.all(chosen.map(([name, suite]) => jobsOf(name, suite)))).flat();
const results = await pMap(jobs, (job) => (stopped ? pMapSkip : runJob(job, env)), { concurrency: parallel });
const passed = sum(results.map((result) => result.passed));
const failed = sum(results.map((result) => result.failed));
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
const least = asked.length === 0 ? Number(manifest.testing.minimum) : 1;
for (const { label } of results.filter((result) => result.failed > 0))
  process.stdout.write(`FAILED ${label}\n`);
if (passed < least)
  process.stdout.write(`\nonly ${passed} tests passed, expected at least ${least} (package.json)\n`);
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
if (failed > 0 || passed < least) process.exitCode ??= 1;
