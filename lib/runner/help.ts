import { argumentForm, isRequired, optionForm, specsOf } from './arguments.ts';
import { formatPlace } from './call-site.ts';
import { usageLine } from './command-line.ts';
import { listText, neededNames } from './list.ts';
import type { Style } from './output/terminal.ts';
import type { AnyTask, ArgumentSpec, ArgumentSpecs } from './task.ts';

export type HelpView = { readonly program: string; readonly columns: number; readonly style: Style };

/** Output of `--help` without a task: all tasks and global options. */
export function helpText(tasks: readonly AnyTask[], options: ArgumentSpecs, view: HelpView): string {
  const rows = Object.entries(options).map(([name, spec]) => optionRow(name, spec));
  const list = listText(tasks, view.program, view.columns, view.style);
  return `${list}\n${section('global options', rows, view.style)}`;
}

/** Output of `<task> --help`: arguments, options, needs, aliases and the place of declaration. */
export function taskHelpText(task: AnyTask, view: HelpView): string {
  const rows = (positional: boolean): (readonly [string, string])[] =>
    specsOf(task)
      .filter(([, spec]) => (spec.positional ?? false) === positional)
      .map(([name, spec]) => optionRow(name, spec));
  const facts = [
    ['needs', neededNames(task, {}).join(', ')],
    ['also', (task.aliases ?? []).join(', ')],
    ['declared', formatPlace(task)],
  ].filter(([, text]) => text !== '');
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
