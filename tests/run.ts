import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { root } from '../lib/ground/project.ts';
import { toolEnvironment } from '../lib/tools/tools.ts';

/*
 * Runs the tests: `node --import tsx tests/run.ts [check] [unit] [processes] [browser] [charts] [integration]`, all of these by
 * default, or `e2e --context NAME [--env NAME] [--only WORDS] [--keep]`, or `minikube [--env NAME] [--only WORDS]`. Each
 * file runs in its own process (the unit tests in one per package), with a time limit that uvu lacks. Ends with `N passed, N failed` for all, and fails
 * when fewer than `testing.minimum` of package.json passed: a file that forgets `test.run()` passes with no test at all.
 */

type Suite = {
  readonly name: string;
  /** Number of files that run in parallel. */
  readonly jobs: number;
  /** Time limit for one file. */
  readonly timeoutMs: number;
  /** Needs helm, vault and the others on PATH. */
  readonly tools: boolean;
  /** Names of files that run one at a time. */
  readonly alone?: readonly string[];
  /** Runs only on request, and shows its output while it runs. */
  readonly asked?: boolean;
};

const suites: readonly Suite[] = [
  { name: 'check', jobs: 2, timeoutMs: 300_000, tools: false },
  { name: 'unit', jobs: 2, timeoutMs: 300_000, tools: false },
  // Processes, signals and pipes, with real ones.
  { name: 'processes', jobs: 2, timeoutMs: 300_000, tools: false },
  // Pages in a real browser; without one, tests are reported and counted as skipped.
  { name: 'browser', jobs: 1, timeoutMs: 180_000, tools: false },
  { name: 'charts', jobs: 2, timeoutMs: 300_000, tools: true },
  // Real servers, and whole clusters.
  {
    name: 'integration',
    jobs: 2,
    timeoutMs: 900_000,
    tools: true,
    alone: ['environment.test.ts', 'stopped-runs.test.ts'],
  },
  // On a cluster with real pods, named on the command line.
  { name: 'e2e', jobs: 1, timeoutMs: 5_400_000, tools: false, asked: true },
  // Creates clusters with the real minikube.
  { name: 'minikube', jobs: 1, timeoutMs: 7_200_000, tools: false, asked: true },
];

type Result = {
  readonly label: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
};

// Test runs as on a developer's machine, even in a CI job.
for (const variable of ['GITHUB_ACTIONS', 'GITLAB_CI']) delete process.env[variable];

const running = new Set<ChildProcess>();

/** Runs a command in its own process group and returns its exit code (null: killed) and output. */
function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  timeoutMs: number,
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
    }, timeoutMs);
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
function count(coloured: string, exitCode: number | null): Omit<Result, 'label'> {
  const output = stripVTControlCharacters(coloured);
  const number = (word: string): number =>
    [...output.matchAll(new RegExp(`^\\s*${word}:\\s+(\\d+)\\s*$`, 'gm'))].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    );
  const total = number('Total');
  const passed = number('Passed');
  const skipped = number('Skipped');
  const failed = Math.max(0, total - passed - skipped);
  return { passed, skipped, failed: failed === 0 && (exitCode !== 0 || total === 0) ? 1 : failed };
}

/** Test folders of the project and of the runner, which is a separate package. */
const folders = ['tests', 'lib/runner/tests'];

async function testFiles(suite: string): Promise<string[]> {
  const files = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(join(root, folder, suite), { recursive: true }).catch(() => []);
      return names.map((name) => join(folder, suite, name));
    }),
  );
  return files
    .flat()
    .filter((file) => file.endsWith('.test.ts'))
    .sort();
}

async function runFile(file: string, suite: Suite, env: NodeJS.ProcessEnv): Promise<Result> {
  const started = performance.now();
  const { exitCode, output, timedOut } = await run(
    process.execPath,
    ['--import', 'tsx', file],
    env,
    suite.timeoutMs,
    suite.asked,
  );
  const result = { label: file, ...count(output, exitCode) };
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const skipped = result.skipped > 0 ? `, ${result.skipped} skipped` : '';
  process.stdout.write(
    `${result.failed === 0 ? 'ok    ' : 'FAILED'} ${file} (${result.passed} passed${skipped}, ${seconds} s)\n`,
  );
  if (result.skipped > 0) process.stdout.write(output.replace(/^(?!.*(left out|skipped)).*\n?/gim, ''));
  if (timedOut) process.stdout.write(`  no end within ${suite.timeoutMs / 1000} s\n`);
  if (result.failed > 0 && !suite.asked) process.stdout.write(`${output.trimEnd().replace(/^/gm, '  ')}\n`);
  return result;
}

/** Types, those of scripts for the browser, and style count as a test each. */
async function runChecks(suite: Suite, env: NodeJS.ProcessEnv): Promise<Result[]> {
  const bin = (name: string) => join(root, 'node_modules', '.bin', name);
  const commands = [
    ['types', bin('tsc'), '--noEmit'],
    ['types of pages', bin('tsc'), '--noEmit', '-p', 'lib/runner/report/page'],
    ['style', bin('biome'), 'check', '--error-on-warnings', '.'],
  ] as const;
  return Promise.all(
    commands.map(async ([label, command, ...args]) => {
      const { exitCode, output } = await run(command, args, env, suite.timeoutMs);
      process.stdout.write(`${exitCode === 0 ? 'ok    ' : 'FAILED'} ${label}\n`);
      if (exitCode !== 0) process.stdout.write(`${output.trimEnd().replace(/^/gm, '  ')}\n`);
      return { label, passed: exitCode === 0 ? 1 : 0, failed: exitCode === 0 ? 0 : 1, skipped: 0 };
    }),
  );
}

/** All files of a folder in one process, because starting one for each takes longer than the tests. */
async function runUnit(suite: Suite, env: NodeJS.ProcessEnv): Promise<Result[]> {
  const uvu = join(root, 'node_modules', 'uvu', 'bin.js');
  return Promise.all(
    folders.map(async (folder) => {
      const label = `${folder}/unit`;
      const args = ['--import', 'tsx', uvu, label, '\\.test\\.ts$'];
      const { exitCode, output, timedOut } = await run(process.execPath, args, env, suite.timeoutMs);
      process.stdout.write(output);
      if (timedOut) process.stdout.write(`  no end within ${suite.timeoutMs / 1000} s\n`);
      return { label, ...count(output, exitCode) };
    }),
  );
}

async function runSuite(suite: Suite, env: NodeJS.ProcessEnv): Promise<Result[]> {
  if (suite.name === 'check') return runChecks(suite, env);
  if (suite.name === 'unit') return runUnit(suite, env);
  const files = await testFiles(suite.name);
  const alone = files.filter((file) => suite.alone?.includes(basename(file)));
  const others = files.filter((file) => !alone.includes(file));
  const results: Result[] = [];
  const work = async (queue: string[]): Promise<void> => {
    for (let file = queue.shift(); file !== undefined && !stopped; file = queue.shift())
      results.push(await runFile(file, suite, env));
  };
  const first = work(alone).then(() => work(others));
  await Promise.all([first, ...Array.from({ length: suite.jobs - 1 }, () => work(others))]);
  return results;
}

/**
 * Installs the tools of the tests with the project's tool manager, and returns an environment with them on PATH. With `all`, also
 * those that no environment needs, which take minutes to build.
 */
async function withTools(all: boolean): Promise<NodeJS.ProcessEnv> {
  const args = [
    '--import',
    'tsx',
    'tasks.ts',
    'install-tools',
    ...(all ? ['--tests'] : []),
    '--provider',
    'embedded',
    '--output',
    'plain',
  ];
  // Building all of them takes up to an hour.
  const { exitCode } = await run(process.execPath, args, process.env, 3_600_000, true);
  if (stopped) return process.env;
  if (exitCode !== 0) throw new Error('the tools that the tests need could not be got');
  return { ...process.env, PATH: await toolEnvironment() };
}

async function minimum(): Promise<number> {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  return Number(manifest.testing.minimum);
}

/** A signal came: nothing new is started. */
let stopped = false;

function commandLine() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        context: { type: 'string', default: process.env.CLUSTER_CONTEXT ?? '' },
        env: { type: 'string', default: '' },
        only: { type: 'string', default: '' },
        keep: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n`);
    process.exit(2);
  }
}

const { values: e2e, positionals: asked } = commandLine();
const unknown = asked.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `error: unknown suite ${unknown.join(', ')}; there are ${suites.map(({ name }) => name).join(', ')}\n`,
  );
  process.exitCode = 2;
} else if (asked.includes('e2e') && e2e.context === '') {
  process.stderr.write(
    'error: the end-to-end tests need a kube context: npm run test:e2e -- --context <name> (or CLUSTER_CONTEXT)\n',
  );
  process.exitCode = 2;
} else if (asked.includes('minikube') && process.getuid?.() === 0) {
  process.stderr.write(
    'error: minikube refuses root with its docker driver: run the tests as another user\n',
  );
  process.exitCode = 2;
} else {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopped = true;
      for (const child of running) killGroup(child, 'SIGTERM');
      process.exitCode = signal === 'SIGINT' ? 130 : 143;
    });
  }
  const chosen = suites.filter(({ name, asked: alone }) =>
    asked.length === 0 ? !alone : asked.includes(name),
  );
  const { context, env: environment, only, keep } = e2e;
  const chosenCluster = {
    E2E_CONTEXT: context,
    E2E_ENVIRONMENT: environment || 'lab',
    E2E_ONLY: only,
    E2E_KEEP: keep ? '1' : '',
  };
  const env = {
    ...(chosen.some(({ tools }) => tools)
      ? await withTools(chosen.some(({ name }) => name === 'integration'))
      : process.env),
    ...(chosen.some(({ name }) => name === 'e2e') ? chosenCluster : {}),
    MINIKUBE_TEST_ONLY: only,
    ...(environment === '' ? {} : { MINIKUBE_TEST_ENVIRONMENT: environment }),
  };
  const results: Result[] = [];
  for (const suite of chosen) {
    if (stopped) break;
    process.stdout.write(`\n# ${suite.name}\n`);
    results.push(...(await runSuite(suite, env)));
  }
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  const least = asked.length === 0 ? await minimum() : 1;
  for (const { label } of results.filter((result) => result.failed > 0))
    process.stdout.write(`FAILED ${label}\n`);
  if (passed < least)
    process.stdout.write(`\nonly ${passed} tests passed, expected at least ${least} (package.json)\n`);
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  if (failed > 0 || passed < least) process.exitCode ??= 1;
}
