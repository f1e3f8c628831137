import { checkArguments } from '../arguments.ts';
import { type CommandLine, type Program, parseCommandLine, requestedTasks } from '../command-line.ts';
import { buildGraph } from '../graph.ts';
import { graphFormat as format, graphTask } from '../own-tasks.ts';
import type { TaskNames } from '../task-names.ts';
import { viewOfGraph } from './view.ts';

/**
 * The output of `graph <task> [arguments] [, task …] [--format …]`; undefined if the command line does not begin
 * with `graph`, names no task, or asks for help. Expands and checks the graph as for a run, with the options that
 * `resolve` of the configuration returns. Throws UsageError.
 */
export async function showGraph(
  argv: readonly string[],
  known: Program,
  names?: TaskNames,
): Promise<string | undefined> {
  const line = parseGraphLine(argv, known);
  if (line === undefined) return undefined;
  const context = { options: line.options, usage: `${known.program} ${graphTask.name} --help` };
  const specs = { ...known.specs, format };
  const { format: chosen, ...given } = await checkArguments(specs, line.options, context);
  const named = line.calls.map(({ task }) => task);
  const options = (await known.config.resolve?.(given, named)) ?? given;
  const view = viewOfGraph(await buildGraph(requestedTasks(line), options, known.program, names));
  if (chosen === 'dot') return (await import('./dot.ts')).dot(view);
  if (chosen === 'json' || (line.options.format === undefined && given.json === true))
    return `${JSON.stringify(view, undefined, 2)}\n`;
  return (await import('./mermaid.ts')).mermaid(view);
}

/** The command line without `graph`, that is of the tasks to draw, with `format` as a global option. */
function parseGraphLine(argv: readonly string[], known: Program): CommandLine | undefined {
  // Only the parser knows whether this word is a task or an option's value.
  const isTask = (word: string, index: number): boolean =>
    word === graphTask.name && parseCommandLine(argv.slice(0, index + 1), known).calls[0]?.task === graphTask;
  const place = argv.findIndex(isTask);
  if (place < 0) return undefined;
  const rest = argv.toSpliced(place, 1);
  const line = parseCommandLine(rest, { ...known, specs: { ...known.specs, format } }, true);
  const { help, version } = line.options;
  // Without a task, its missing argument is an error as of any other task.
  return help === true || version === true || line.calls.length === 0 ? undefined : line;
}
