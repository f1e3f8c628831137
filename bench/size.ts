import { execFile } from 'node:child_process';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Shell, TaskContext } from '@k8s-deployment/runner';
import { helmfileText } from '../lib/helm/helmfile.ts';
import { loadSettings } from '../lib/settings/settings.ts';
import { memoryRow, type Row, timeRow } from './report.ts';
import { makeSandbox } from './sandbox.ts';

/**
 * CPU time in ms, of user and kernel, and the peak of the resident memory in MiB: of a command and all its children.
 */
type Cost = { readonly cpuMs: number; readonly peakMiB: number };

/** Nodes that hold the pods of 60 applications. */
const nodes = '\ncluster: { nodes: 6, cpus: 64, memoryMB: 262144 }\n';

const smallest = 2;
const unchanged = 'install-tier apps, unchanged';
const template = 'helmfile template';

/**
 * What tasks cost with many applications: CPU time as ratios to the same task with two, which is the number of
 * applications for what grows with them, and memory. Throws `MissingToolError` for a missing tool and `TaskError` when
 * a step fails.
 */
export async function sizeRows(context: TaskContext, applications: number): Promise<Row[]> {
  const { folder, environments, $ } = await makeSandbox(context);
  const environment = environments.development;
  const run = ['./run', '--env', 'development', '--provider', 'embedded'];
  await appendFile(join(folder, 'environments', 'development', 'settings.yaml'), nodes);
  await $`${run} create-environment`;

  const measured = async (count: number): Promise<ReadonlyMap<string, Cost>> => {
    const costs = new Map<string, Cost>();
    const measure = async (step: string, command: string) => {
      const cost = await costOf($, command);
      costs.set(step, cost);
      context.log(`${count} applications: ${step}: ${(cost.cpuMs / 1000).toFixed(1)} s of CPU`);
    };
    const task = (words: string) => `${run.join(' ')} ${words}`;
    const target = { environment, settings: await loadSettings(environment) };
    const rendering = ['-l', 'tier=apps', 'template', '--include-transitive-needs'];
    await measure('install-tier apps, new', task('install-tier apps'));
    await measure('status', task('status'));
    await measure(unchanged, task('install-tier apps'));
    await measure('diff-tier apps', task('diff-tier apps'));
    await measure('render', task('render --output rendered'));
    await measure(
      template,
      `eval "$(${task('env')})"; ${await helmfileText(target, ...rendering)} > /dev/null`,
    );
    return costs;
  };
  const few = await measured(smallest);
  for (let number = smallest + 1; number <= applications; number += 1)
    await $`${run} new-app ${`app${number}`} --secrets ${number % 2 === 0 ? 'sops' : 'vault'}`;
  await $`${run} init-vault`;
  const many = await measured(applications);
  await $`${run} destroy-environment --yes`;

  const of = (costs: ReadonlyMap<string, Cost>, step: string, count: number) => ({
    name: `${step}, ${count} applications`,
    times: [costs.get(step)?.cpuMs ?? Number.NaN],
  });
  return [
    timeRow(of(many, unchanged, applications), of(many, template, applications), 1.5),
    ...[...many.keys()].map((step) =>
      timeRow(of(many, step, applications), of(few, step, smallest), applications / smallest),
    ),
    ...[...many].map(([step, { peakMiB }]) => memoryRow(`memory of ${step}`, [peakMiB], null)),
  ];
}

/** Runs a command of bash, which prints in seconds what all of its children have used. */
async function costOf($: Shell, command: string): Promise<Cost> {
  const script = '{ TIMEFORMAT="%3U %3S"; time bash -ec "$0" 2>&3 > /dev/null; } 3>&2 2>&1';
  const running = $`bash -c ${script} ${command}`;
  let peakMiB = 0;
  const sampling = setInterval(async () => {
    peakMiB = Math.max(peakMiB, await treeMiB(running.pid ?? 0).catch(() => 0));
  }, 200);
  try {
    const [user, system] = (await running).stdout.split(' ').map(Number);
    return { cpuMs: 1000 * ((user ?? Number.NaN) + (system ?? Number.NaN)), peakMiB };
  } finally {
    clearInterval(sampling);
  }
}

/** Resident memory of a process and its descendants; pages that several share are counted for each. */
async function treeMiB(root: number): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,ppid=,rss=']);
  const processes = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const tree = new Set([root]);
  // Sets can grow while they are iterated.
  for (const parent of tree) for (const [pid = 0, ppid] of processes) if (ppid === parent) tree.add(pid);
  const kib = processes.reduce((sum, [pid = 0, , rss = 0]) => (tree.has(pid) ? sum + rss : sum), 0);
  return kib / 1024;
}
