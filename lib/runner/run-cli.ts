import { checkArguments } from './arguments.ts';
import { Children } from './children.ts';
import { type CommandLine, type Program, parseCommandLine, requestedTasks } from './command-line.ts';
import {
  exitCodes,
  formatFailure,
  signalExitCode,
  stopExitCode,
  TaskError,
  toFailure,
  UsageError,
} from './errors.ts';
import { type CliConfig, isSet, runnerOptions, runnerSettings } from './global-options.ts';
import { endLeftOpen, keepOpen } from './left-open.ts';
import { helpText, listJson, listText, taskHelpText } from './list.ts';
import { openTerminal, type Terminal } from './output/terminal.ts';
import { completionTask, graphTask, listTask, ownTasks } from './own-tasks.ts';
import { Redactor } from './redact.ts';
import type { RunRequest } from './run.ts';
import { quote } from './shell.ts';
import { Stop } from './stop.ts';
import { listenForSuspend } from './suspend.ts';
import type { AnyTask } from './task.ts';
import { checkDefinitions, type TaskNames } from './task-names.ts';

type Session = Program & {
  readonly children: Children;
  readonly stop: Stop;
  readonly terminal: Terminal;
  readonly redactor: Redactor;
  /** True once its tasks run or are watched. */
  begun: boolean;
};

const abandonMs = 5000;

/**
 * Executes the command line and returns the exit code. Shows every error and handles signals throughout. Ends what
 * tasks left open soon after the caller has set `process.exitCode`.
 */
export async function runCli(
  tasks: readonly AnyTask[],
  argv: readonly string[],
  config: CliConfig = {},
): Promise<number> {
  keepOpen();
  const children = new Children();
  const stop = new Stop(children);
  stop.listen();
  const endSuspend = listenForSuspend(children);
  const terminal = openTerminal(() => stop.begin({ type: 'hang-up' }));
  const session: Session = {
    tasks: [...tasks, ...ownTasks],
    specs: { ...config.options, ...runnerOptions },
    config,
    program: config.program ?? 'npx tsx tasks.ts',
    children,
    stop,
    terminal,
    redactor: new Redactor(),
    begun: false,
  };
  const options = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const verbose = options.includes('--verbose') || options.includes('-v');
  /** Returns its exit code. */
  const show = (error: unknown): number => {
    const failure = toFailure(error);
    const lines = formatFailure(session.redactor.redactAll(failure), verbose);
    terminal.err(lines.map((line) => `${line}\n`).join(''));
    return failure.exitCode;
  };
  const showNow = (error: unknown): void => {
    show(error);
    terminal.flush?.();
  };
  stop.onCutShort = showNow;
  const codeOf = (otherwise: number): number => {
    const { reason } = stop;
    if (reason?.type !== 'crash') return (reason && stopExitCode(reason)) ?? otherwise;
    show(reason.error);
    return exitCodes.failed;
  };
  try {
    return codeOf(await Promise.race([dispatch(argv, session), abandoned(session)]));
  } catch (error) {
    await stop.ended();
    await children.end();
    return stop.reason === undefined ? show(error) : codeOf(exitCodes.failed);
  } finally {
    stop.close();
    endSuspend();
    children.close();
    terminal.close?.();
    endLeftOpen(showNow, verbose);
  }
}

/**
 * Rejects if the run is stopped before it begins and a function of the tasks (`resolve`, `check`, a promise of
 * `commands`) does not end. A running run stops by itself.
 */
function abandoned(session: Session): Promise<never> {
  const { signal } = session.stop;
  return new Promise((_, reject) => {
    const giveUp = (): void => {
      if (!session.begun) reject(new TaskError({ what: 'did not end when it was asked to; given up' }));
    };
    signal.addEventListener('abort', () => setTimeout(giveUp, abandonMs).unref(), { once: true });
  });
}

async function dispatch(argv: readonly string[], session: Session): Promise<number> {
  const { tasks, specs, program, terminal, config } = session;
  const answer = (text: string): number => {
    terminal.out(text);
    return exitCodes.done;
  };
  const names = checkDefinitions(tasks, specs);
  if (config.dotenv !== undefined) await (await import('./dotenv.ts')).readDotenv(config.dotenv);
  if (argv[0] === '__complete') {
    const { candidates } = await import('./completion/completion.ts');
    return answer(await candidates(argv.slice(1), session));
  }
  if (argv.includes(graphTask.name)) {
    const { showGraph } = await import('./show-graph.ts');
    const text = await showGraph(argv, session, names);
    if (text !== undefined) return answer(text);
  }
  const line = parseCommandLine(argv, session);
  // For what uses no option, too. Variables and defaults are for runs.
  const written = Object.entries(specs).filter(([name]) => name in line.options);
  const context = { options: line.options, usage: `${program} --help` };
  const options = await checkArguments(Object.fromEntries(written), line.options, context);
  runnerSettings(options);
  const columns = process.stdout.columns || Number.POSITIVE_INFINITY;
  const view = { program, columns, style: terminal.style };
  if (options.version === true) return answer(`${config.version ?? '0.0.0'}\n`);
  if (options.help === true) {
    const texts = line.calls.map(({ task }) => taskHelpText(task, view));
    return answer(texts.length === 0 ? helpText(tasks, specs, view) : texts.join('\n'));
  }
  if (options.choose === true) {
    const { choose } = await import('./choose.ts');
    const words = await choose(argv, line, session);
    if (words !== undefined) return dispatch(words, session);
    terminal.err('nothing was chosen\n');
    return signalExitCode('SIGINT');
  }
  const own = line.calls.find(({ task }) => ownTasks.includes(task));
  if (own !== undefined && line.calls.length > 1) {
    throw new UsageError({
      what: `task \`${own.task.name}\` runs nothing, and cannot stand among others`,
      advice: `give it a command line of its own`,
    });
  }
  if (line.calls.length === 0 || own?.task === listTask || options.list === true) {
    return answer(options.json === true ? listJson(tasks, options) : listText(tasks, view));
  }
  if (own?.task === completionTask) {
    const { completionAnswer } = await import('./completion/completion.ts');
    return answer(await completionAnswer(own.args, session));
  }
  return runRequested(line, names, session);
}

async function runRequested(line: CommandLine, names: TaskNames, session: Session): Promise<number> {
  const { specs, program, config, stop, terminal } = session;
  const { buildGraph } = await import('./graph.ts');
  const values = { wait: !isSet(process.env.CI), ...line.options };
  const given = await checkArguments(specs, values, { options: line.options, usage: `${program} --help` });
  const settings = runnerSettings(given);
  const calls = requestedTasks(line);
  const named = calls.map(({ task }) => task);
  const options = (await config.resolve?.(given, named)) ?? given;
  const graph = await buildGraph(calls, options, program, names);
  stop.signal.throwIfAborted();

  if (options.dryRun === true) {
    // The commands are for the working directory, and are pasted into the caller's shell.
    const { calledIn = process.cwd() } = config;
    if (calledIn !== process.cwd()) terminal.out(`cd ${quote(process.cwd())}\n`);
    let text = '';
    for (const node of graph.nodes) {
      const commands = await node.task.commands(node.input);
      // To be pasted: a long-running process goes to the background.
      const end = node.longRunning === undefined ? '' : ' &';
      const lines = commands.map((command) => session.redactor.redact(command)).join('\n');
      if (commands.length > 0) text += `${lines}${end}\n`;
    }
    terminal.out((config.setUp?.(options, text) ?? '') + text);
    return exitCodes.done;
  }
  const together = graph.nodes.map(({ task }) => task.name);
  for (const node of graph.nodes) await node.task.check?.(node.input, together);
  if (graph.nodes.some((node) => node.task.confirm !== undefined)) {
    const { confirmTasks } = await import('./confirm.ts');
    await confirmTasks(graph.nodes, stop.signal);
  }
  const wanted = graph.nodes.flatMap(({ task }) => task.lock || []);
  // In the same order in every run, so that two never wait for each other.
  const locks = new Set<string | true>(wanted.length === 0 ? [] : [true, ...wanted.sort()]);
  const request: RunRequest = {
    ...session,
    graph,
    settings,
    shell: config.shell,
    memory: config.memory?.(options) ?? '.tasks',
    locks: Array.from(locks, (name) => config.lock?.(options, name) ?? []).flat(),
  };
  session.begun = true;
  if (settings.watch) return (await import('./watch.ts')).watchTasks(request);
  return (await import('./run-tasks.ts')).runTasks(request);
}
