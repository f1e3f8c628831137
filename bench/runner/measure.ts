import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TaskContext, TaskError } from '@k8s-deployment/runner';
import { root } from '../../lib/ground/project.ts';
import { npmEnvironment } from '../../lib/ground/variables.ts';
import type { Measured } from '../report.ts';
import { type ShapeTask, tree } from './graph-shape.ts';

/** A command that is measured, from its start to the end of its process. */
export type Contender = {
  readonly name: string;
  readonly command: readonly [program: string, ...words: string[]];
  /** Default: the project's folder. */
  readonly cwd?: string;
  /** Beside our own environment. */
  readonly env?: NodeJS.ProcessEnv;
};

/** An installed task runner. */
export type Peer = {
  readonly name: string;
  /** The name of its file of tasks, and the same graph in its format. */
  readonly file: string;
  readonly text: (graph: readonly ShapeTask[]) => string;
  /** Runs the graph in the folder of this file, two tasks at a time, without caches and daemons. */
  readonly command: Contender['command'];
  readonly env?: NodeJS.ProcessEnv;
};

/**
 * Measures all contenders once per round, so that what slows the machine down for a while slows all of them. Who begins
 * a round changes from one to the next. Each runs once before that, unmeasured: files are in memory then, and caches of
 * loaders are filled. Returns the milliseconds of each round by the contender's name.
 */
export async function interleave(
  contenders: readonly Contender[],
  rounds: number,
  measure: (contender: Contender) => Promise<number>,
) {
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (const contender of contenders) await measure(contender);
  for (let round = 0; round < rounds; round += 1) {
    const first = round % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)])
      times.get(contender.name)?.push(await measure(contender));
  }
  return Object.fromEntries(times);
}

/** Wall time and the processor's time of all that a command has started, in milliseconds. */
type Times = { readonly wall: number; readonly cpu: number };

/**
 * The times of a command, as bash counts them. Its output goes to a file, not to a pipe: reading a pipe would take
 * processor time from what is measured. Throws `TaskError` with the last output when it fails.
 */
export async function timesOf(
  { $ }: Pick<TaskContext, '$'>,
  { name, command, cwd = root, env }: Contender,
): Promise<Times> {
  const script = [
    'TIMEFORMAT="%3R %3U %3S"; output=$(mktemp); trap \'rm "$output"\' EXIT',
    '{ time "$@" > "$output" 2>&1; } 2>&1 || { code=$?; tail -n 5 "$output" >&2; exit "$code"; }',
  ].join('\n');
  const measured = $({ cwd, env: { ...cleanEnvironment(), ...env }, quiet: true, nothrow: true });
  const { stdout, stderr, exitCode } = await measured`bash -c ${script} bash ${command}`;
  if (exitCode !== 0) {
    const what = `${name}: \`${command.join(' ')}\` ended with ${exitCode}`;
    throw new TaskError({ what, why: stderr.trim() || undefined });
  }
  const [wall = Number.NaN, user = Number.NaN, system = Number.NaN] = stdout
    .split(' ')
    .map((s) => Number(s) * 1000);
  return { wall, cpu: user + system };
}

/** Environment of measured commands: without the variables of npm, and without those that change how programs print. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const { CI: _c, FORCE_COLOR: _f, NODE_OPTIONS: _n, ...own } = npmEnvironment(process.env);
  return { ...own, NO_COLOR: '1', LC_ALL: 'C.UTF-8' };
}

/** Shared by all measurements of the runner. */
export type BenchRun = Awaited<ReturnType<typeof openBenchRun>>;

/** Makes a work folder, which the end of the run removes. */
export async function openBenchRun(context: TaskContext) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'k8sd-bench-peers-')));
  context.onRunEnd(() => rm(folder, { recursive: true, force: true }));
  const [load = 0] = loadavg();
  if (load > availableParallelism() / 2)
    context.log(
      `the machine is busy with other things (load ${load.toFixed(1)}): what is measured now is worth little`,
    );
  const graph = join(folder, 'graph.mjs');
  const bundler = join(root, 'lib', 'start', 'bundle.ts');
  await context.$`${process.execPath} --import tsx ${bundler} ${join(programs, 'graph.ts')} ${graph}`;
  let graphs = 0;
  return {
    context,
    folder,
    /** `programs/graph.ts`, bundled as `./run` bundles the project. */
    graph: (...words: readonly string[]): Contender['command'] => [process.execPath, graph, ...words],
    /** Measures the contenders side by side and returns a function from a name to its times. */
    compare: async (
      what: string,
      contenders: readonly Contender[],
      rounds: number,
      time: keyof Times = 'wall',
    ) => {
      context.log(what);
      const times = await interleave(contenders, rounds, async (contender) => {
        context.progress(`${what}: ${contender.name}`);
        return (await timesOf(context, contender))[time];
      });
      return (name: string): Measured => {
        const own = times[name];
        if (own === undefined) throw new Error(`${name} was not measured`);
        return { name, times: own };
      };
    },
    /** Writes a graph in a peer's format and returns the command that runs it. */
    contender: async (peer: Peer, graph: readonly ShapeTask[]): Promise<Contender> => {
      graphs += 1;
      const place = join(folder, `${graphs}-${peer.name}`);
      await mkdir(place);
      const file = join(place, peer.file);
      await writeFile(file, peer.text(graph));
      // Only wireit reads this variable, which npm would set.
      return { ...peer, cwd: place, env: { ...peer.env, npm_package_json: file } };
    },
  };
}

/** The folder of the programs that are measured. */
export const programs = join(root, 'bench', 'runner', 'programs');

/** The baseline for everything that starts Node. */
export const bareNode: Contender = { name: 'node -e 0', command: [process.execPath, '-e', '0'] };

/** In the peer's folder: every task that runs writes one letter there. */
const marksFile = 'marks';

/**
 * Checks that a peer runs every task of a graph in each of two runs, since with a cache the benchmark would measure
 * nothing. Throws `TaskError` with the peer's name otherwise.
 */
export async function checkPeer(run: BenchRun, peer: Peer): Promise<void> {
  const graph = tree(10, `printf x >> ${marksFile}`);
  const contender = await run.contender(peer, graph);
  const marks = join(contender.cwd ?? run.folder, marksFile);
  for (const times of [1, 2]) {
    await timesOf(run.context, contender);
    const written = (await readFile(marks, 'utf8').catch(() => '')).length;
    if (written === graph.length * times) continue;
    throw new TaskError({
      what: `${peer.name} ran ${written} tasks where ${graph.length * times} were to be run`,
      why: 'only a peer that runs everything can be compared with',
    });
  }
}
