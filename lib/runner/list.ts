import { argumentForm, isRequired, optionForm, specsOf } from './arguments.ts';
import { formatPlace, shortPath } from './call-site.ts';
import { usageLine } from './command-line.ts';
import type { Style } from './output/terminal.ts';
import {
  type AnyTask,
  type ArgumentSpec,
  type ArgumentSpecs,
  needsOf,
  type Options,
  type TaskInput,
} from './task.ts';

/** Wider names would push descriptions off the screen. */
const widestForm = 44;
/** Narrower descriptions would say next to nothing. */
const narrowestText = 24;

type HelpView = { readonly program: string; readonly columns: number; readonly style: Style };

/**
 * All public tasks by group, in order of declaration, within `columns`. Descriptions go below the names if there is
 * no room beside them.
 */
export function listText(tasks: readonly AnyTask[], { program, columns, style }: HelpView): string {
  const entries = publicTasks(tasks);
  const rows = entries.map((entry) => ({
    group: entry.group ?? 'tasks',
    form: taskForm(entry),
    text: entry.description + (entry.aliases?.length ? ` (also ${entry.aliases.join(', ')})` : ''),
  }));
  const longest = rows.reduce((widest, { form }) => Math.max(widest, form.length), 0);
  const isStacked = columns - Math.min(widestForm, longest) - 4 < narrowestText;
  const width = isStacked ? 2 : Math.min(widestForm, longest);
  const { ellipsis } = style.symbols;
  const lines = [
    `usage: ${program} <task> [arguments] [options] [, <task> …]`,
    `       ${program} <task> --help`,
  ];
  const groups = new Map(rows.map(({ group }) => [group, [] as typeof rows]));
  for (const row of rows) groups.get(row.group)?.push(row);
  for (const [group, members] of groups) {
    lines.push('', style.bold(group));
    for (const { form, text } of members) {
      const shown = cut(text, columns - width - 4, ellipsis);
      const room = width - form.length;
      if (room >= 0) lines.push(`  ${style.cyan(form + ' '.repeat(room))}  ${shown}`);
      else
        lines.push(`  ${style.cyan(cut(form, columns - 2, ellipsis))}`, `  ${' '.repeat(width)}  ${shown}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function cut(text: string, room: number, ellipsis: string): string {
  if (text.length <= room) return text;
  return `${text.slice(0, Math.max(0, room - ellipsis.length)).trimEnd()}${ellipsis}`;
}

/** The same as JSON. */
export function listJson(tasks: readonly AnyTask[], options: Options): string {
  const entries = publicTasks(tasks).map((entry) => ({
    name: entry.name,
    aliases: entry.aliases ?? [],
    group: entry.group ?? 'tasks',
    description: entry.description,
    args: specsOf(entry).map(([name, { choices, ...rest }]) => ({
      ...{ name, ...rest },
      ...(Array.isArray(choices) && { choices }),
    })),
    needs: neededNames(entry, options),
    file: shortPath(entry.place.file),
    line: entry.place.line,
  }));
  return `${JSON.stringify(entries, undefined, 2)}\n`;
}

/** A task with its positional arguments: `install-app <app>`. */
export function taskForm(entry: AnyTask): string {
  const positional = specsOf(entry).filter(([, spec]) => spec.positional);
  return [entry.name, ...positional.map(([name, spec]) => argumentForm(name, spec))].join(' ');
}

/** Names of needed tasks, as without arguments; undefined if they depend on what only a run has. */
function neededNames(entry: AnyTask, options: Options): string[] | undefined {
  try {
    const args = Object.fromEntries(
      specsOf(entry).map(([name, spec]) => [name, spec.default ?? (spec.variadic ? [] : undefined)]),
    ) as TaskInput['args'];
    return [...new Set(needsOf(entry, { args, options, passThrough: [] }).map((needed) => needed.task.name))];
  } catch {
    return undefined;
  }
}

function publicTasks(tasks: readonly AnyTask[]): AnyTask[] {
  return tasks.filter((entry) => !entry.private);
}

/** Output of `--help` without a task: all tasks and global options. */
export function helpText(tasks: readonly AnyTask[], options: ArgumentSpecs, view: HelpView): string {
  const rows = Object.entries(options).map(([name, spec]) => optionRow(name, spec));
  return `${listText(tasks, view)}\n${section('global options', rows, view.style)}`;
}

/** Output of `<task> --help`: arguments, options, needs, aliases and the place of declaration. */
export function taskHelpText(task: AnyTask, view: HelpView): string {
  const rows = (positional: boolean): (readonly [string, string])[] =>
    specsOf(task)
      .filter(([, spec]) => (spec.positional ?? false) === positional)
      .map(([name, spec]) => optionRow(name, spec));
  const facts = [
    ['needs', neededNames(task, {})?.join(', ')],
    ['also', (task.aliases ?? []).join(', ')],
    ['declared', formatPlace(task.place)],
  ].filter(([, text]) => text);
  const parts = [
    `${usageLine(task, view.program)}\n`,
    `${task.description}\n`,
    section('arguments', rows(true), view.style),
    section('options', rows(false), view.style),
    `${facts.map(([name, text]) => `${name}: ${text}`).join('\n')}\n`,
    `global options: ${view.program} --help\n`,
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function section(title: string, rows: readonly (readonly [string, string])[], style: Style): string {
  if (rows.length === 0) return '';
  const width = Math.max(...rows.map(([form]) => form.length));
  const lines = rows.map(([form, text]) => `  ${style.cyan(form.padEnd(width))}  ${text}`);
  return `${[style.bold(title), ...lines].join('\n')}\n`;
}

function optionRow(name: string, spec: ArgumentSpec): [string, string] {
  if (spec.positional) return [argumentForm(name, spec), explain(spec)];
  const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
  return [short + optionForm(name, spec), explain(spec)];
}

function explain(spec: ArgumentSpec): string {
  const choices = Array.isArray(spec.choices) ? spec.choices.join(' | ') : undefined;
  const shown =
    spec.type === 'boolean' || spec.default === undefined ? undefined : `default ${String(spec.default)}`;
  const notes = [choices, shown, spec.env, !spec.positional && isRequired(spec) ? 'required' : undefined];
  const known = notes.filter((note) => note !== undefined);
  return known.length === 0 ? spec.description : `${spec.description} (${known.join('; ')})`;
}
