import { checkArguments } from '../arguments.ts';
import { type CommandLine, parseCommandLine, requestedTasks } from '../command-line.ts';
import type { Resolve } from '../global-options.ts';
import { buildGraph } from '../graph.ts';
import { graphFormat as format, graphTask, ownTasks } from '../own-tasks.ts';
import type { AnyTask, ArgumentSpecs } from '../task.ts';
import type { TaskNames } from '../task-names.ts';
import { overview } from './overview.ts';
import { viewOfGraph } from './view.ts';

type Known = {
  readonly tasks: readonly AnyTask[];
  readonly names?: TaskNames;
  readonly options: ArgumentSpecs;
  readonly program: string;
};

/**
 * The output of `graph [task] [arguments] [, task …] [--format …]`; undefined if the command line does not begin with
 * `graph` or asks for help. Expands and checks the graph as for a run, with the options that `resolve` returns. Throws
 * UsageError.
 */
export async function showGraph(
  argv: readonly string[],
  known: Known,
  resolve: Resolve = async (options) => options,
): Promise<string | undefined> {
  const line = parseGraphLine(argv, known);
  if (line === undefined) return undefined;
  const usage = `${known.program} ${graphTask.name} --help`;
  const context = { options: line.options, usage };
  const { format: chosen, ...given } = await checkArguments(
    { ...known.options, format },
    line.options,
    context,
  );
  const options = await resolve(
    given,
    line.calls.map(({ task }) => task),
  );
  const view =
    line.calls.length === 0
      ? await overview(
          known.tasks.filter((task) => !ownTasks.includes(task)),
          options,
        )
      : viewOfGraph(await buildGraph(requestedTasks(line), options, known.program, known.names));
  if (chosen === 'dot') return (await import('./dot.ts')).dot(view);
  if (chosen === 'json' || (line.options.format === undefined && given.json === true))
    return `${JSON.stringify(view, undefined, 2)}\n`;
  return (await import('./mermaid.ts')).mermaid(view);
}

/** The command line without `graph`, that is of the tasks to draw, with `format` as a global option. */
function parseGraphLine(argv: readonly string[], known: Known): CommandLine | undefined {
  const place = argv.findIndex((word, index) => {
    // Only the parser knows whether this word is a task or an option's value.
    return (
      word === graphTask.name &&
      parseCommandLine(argv.slice(0, index + 1), known).calls[0]?.task === graphTask
    );
  });
  if (place < 0) return undefined;
  const rest = [...argv.slice(0, place), ...argv.slice(place + 1)];
  const line = parseCommandLine(rest, { ...known, options: { ...known.options, format }, privateToo: true });
  return line.options.help === true || line.options.version === true ? undefined : line;
}
