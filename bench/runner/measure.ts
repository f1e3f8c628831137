import { type TaskContext, TaskError } from '@k8s-deployment/runner';
import { root } from '../../lib/ground/project.ts';
import { npmEnvironment } from '../../lib/ground/variables.ts';

/** A command that is measured, from its start to the end of its process. */
export type Contender = {
  readonly name: string;
  readonly command: readonly [program: string, ...words: string[]];
  /** Default: the project's folder. */
  readonly cwd?: string;
  /** Beside our own environment. */
  readonly env?: NodeJS.ProcessEnv;
};

/** Runs one command and returns its milliseconds. */
export type Measure = (contender: Contender) => Promise<number>;

/**
 * Measures all contenders once per round, so that what slows the machine down for a while slows all of them. Who begins
 * a round changes from one to the next. Each runs once before that, unmeasured: files are in memory then, and caches of
 * loaders are filled. Returns the milliseconds of each round by the contender's name.
 */
export async function interleave(contenders: readonly Contender[], rounds: number, measure: Measure) {
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
export type Times = { readonly wall: number; readonly cpu: number };

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
