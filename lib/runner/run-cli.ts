import { checkArguments } from './arguments.ts';
import { Children } from './children.ts';
import { type CommandLine, parseCommandLine } from './command-line.ts';
import { type Failure, formatFailure, toFailure } from './errors.ts';
import type { StopReason } from './events.ts';
import { exitCodes, stopExitCode } from './exit-codes.ts';
import { type RunnerSettings, runnerOptions, runnerSettings } from './global-options.ts';
import type { Graph, TaskNode } from './graph.ts';
import { listJson, listTask, listText } from './list.ts';
import { openTerminal, type Terminal } from './output/terminal.ts';
import { Redactor } from './redact.ts';
import type { RunRequest } from './run-tasks.ts';
import type { CommandOptions } from './shell.ts';
import { Stop } from './stop.ts';
import type { AnyTask, ArgumentSpecs, Options } from './task.ts';

export type CliConfig = {
  /** The name in usage lines. Default: `npx tsx tasks.ts`. */
  readonly program?: string;
  readonly version?: string;
  /** Global options beside the runner's own. */
  readonly options?: ArgumentSpecs;
  /**
   * Checks and completes the global options before the graph is built; not called for list, help and version. Throws
   * UsageError.
   */
  readonly resolve?: (options: Options) => Promise<Options>;
  /** The lock file for runs in which a task has `lock`. */
  readonly lock?: (options: Options) => string;
  /** Folder and environment variables for the commands of tasks without a `run`. Default: ours. */
  readonly shell?: (options: Options) => Promise<CommandOptions>;
  /** The folder for what the runner remembers between runs: fingerprints and the journal. Default: `.tasks` in the working directory. */
  readonly memory?: (options: Options) => string;
  /** The folder for the logs of such a run. */
  readonly logs?: (options: Options) => string | undefined;
};

type Session = {
  readonly tasks: readonly AnyTask[];
  readonly specs: ArgumentSpecs;
  readonly config: CliConfig;
  readonly program: string;
  readonly children: Children;
  readonly stop: Stop;
  readonly terminal: Terminal;
  readonly redactor: Redactor;
};

/**
 * Does what the command line says and returns the exit code; never ends the process by itself. Every error is shown
 * here. Signals are handled from the first line to the last.
 */
export async function runCli(
  tasks: readonly AnyTask[],
  argv: readonly string[],
  config: CliConfig = {},
): Promise<number> {
  const children = new Children();
  const stop = new Stop(children);
  stop.listen();
  const terminal = openTerminal(() => stop.begin({ type: 'hang-up' }));
  const session: Session = {
    tasks: [...tasks, listTask],
    specs: { ...config.options, ...runnerOptions },
    config,
    program: config.program ?? 'npx tsx tasks.ts',
    children,
    stop,
    terminal,
    redactor: new Redactor(),
  };
  const showFailure = (failure: Failure): void => {
    const lines = formatFailure(
      session.redactor.redactAll(failure),
      argv.includes('--verbose') || argv.includes('-v'),
    );
    terminal.err(lines.map((line) => `${line}\n`).join(''));
  };
  const stoppedCode = (reason: StopReason, otherwise: number): number => {
    if (reason.type === 'crash') showFailure(toFailure(reason.error));
    return reason.type === 'crash' ? exitCodes.failed : (stopExitCode(reason) ?? otherwise);
  };
  try {
    const exitCode = await dispatch(argv, session);
    return stop.reason === undefined ? exitCode : stoppedCode(stop.reason, exitCode);
  } catch (error) {
    await stop.ended();
    await children.end();
    if (stop.reason !== undefined) return stoppedCode(stop.reason, exitCodes.failed);
    const failure = toFailure(error);
    showFailure(failure);
    return failure.exitCode;
  } finally {
    stop.close();
    children.close();
    terminal.close();
  }
}

async function dispatch(argv: readonly string[], session: Session): Promise<number> {
  const { tasks, specs, program, terminal, config } = session;
  checkDefinitions(tasks, specs);
  const line = parseCommandLine(argv, { tasks, options: specs, program });
  const columns = process.stdout.columns || Number.POSITIVE_INFINITY;
  if (line.options.version === true) {
    terminal.out(`${config.version ?? '0.0.0'}\n`);
    return exitCodes.done;
  }
  if (line.options.help === true) {
    const { helpText, taskHelpText } = await import('./help.ts');
    const view = { program, columns, style: terminal.style };
    terminal.out(line.task === undefined ? helpText(tasks, specs, view) : taskHelpText(line.task, view));
    return exitCodes.done;
  }
  if (line.task === undefined || line.task === listTask) {
    const json = line.options.json === true;
    terminal.out(json ? listJson(tasks, line.options) : listText(tasks, program, columns, terminal.style));
    return exitCodes.done;
  }
  return runRequested(line, line.task, session);
}

async function runRequested(line: CommandLine, task: AnyTask, session: Session): Promise<number> {
  const { specs, program, config, stop, terminal } = session;
  const { buildGraph } = await import('./graph.ts');
  const given = await checkArguments(specs, line.options, {
    options: line.options,
    usage: `${program} --help`,
  });
  const settings = runnerSettings(given);
  const options = config.resolve === undefined ? given : await config.resolve(given);
  const graph = await buildGraph({ ...line, task }, options, program);
  stop.signal.throwIfAborted();
  const memory = config.memory?.(options) ?? '.tasks';

  if (options.dryRun === true) {
    const reasons = settings.explain ? await explain(graph, memory, settings, config) : undefined;
    for (const node of graph.nodes) {
      if (reasons !== undefined) terminal.err(`${session.redactor.redact(reasons.get(node) ?? '')}\n`);
      const commands = await node.task.commands(node.input);
      terminal.out(commands.map((command) => `${session.redactor.redact(command)}\n`).join(''));
    }
    return exitCodes.done;
  }
  if (graph.nodes.some((node) => node.task.confirm !== undefined)) {
    const { confirmTasks } = await import('./confirm.ts');
    await confirmTasks(graph.nodes, stop.signal);
  }
  const locked = graph.nodes.some((node) => node.task.lock);
  const request: RunRequest = {
    ...session,
    graph,
    settings,
    shell: config.shell,
    memory,
    lock: locked ? config.lock?.(options) : undefined,
    // Only with the lock: a task that changes nothing leaves no files behind, and two runs never share a log.
    logs: locked ? config.logs?.(options) : undefined,
  };
  if (settings.watch) return (await import('./watch.ts')).watchTasks(request);
  return (await import('./run-tasks.ts')).runTasks(request);
}

async function explain(
  graph: Graph,
  memory: string,
  { force }: RunnerSettings,
  { shell }: CliConfig,
): Promise<Map<TaskNode, string>> {
  const { predict } = await import('./memory/explain.ts');
  return predict({ graph, memory, shell, force });
}

/** Mistakes in the tasks themselves, seen before a user runs into them. */
function checkDefinitions(tasks: readonly AnyTask[], globals: ArgumentSpecs): void {
  const owners = new Map<string, AnyTask>();
  for (const task of tasks) {
    for (const name of [task.name, ...(task.aliases ?? [])]) {
      if (owners.has(name)) throw new Error(`two tasks are called \`${name}\``);
      owners.set(name, task);
    }
    for (const name of Object.keys(task.args ?? {})) {
      if (name in globals)
        throw new Error(`argument \`${name}\` of task \`${task.name}\` hides a global option`);
    }
  }
}
