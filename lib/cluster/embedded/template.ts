import { readFile } from 'node:fs/promises';

/** Values of the placeholders `${name}`. */
export type TemplateValues = { readonly [name: string]: string | number };

const folder = 'lib/cluster/embedded';

/** Fills in a template of this folder. Throws for a placeholder without a value, which is a bug. */
export async function fillTemplate(file: string, values: TemplateValues): Promise<string> {
  const text = await readFile(new URL(file, import.meta.url), 'utf8');
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${folder}/${file} asks for \${${name}}, which has no value`);
    return String(value);
  });
}

/** The clone's path as sed writes it into a quoted text. */
const escaped = String.raw`folder=$(pwd | sed 's/[&|]/\\&/g; s/"/\\\\"/g')`;

/** A plain command that prints the template filled in; values may contain shell variables, and a text `$PWD`. */
export function fillCommand(file: string, values: TemplateValues): string {
  const edits = Object.entries(values).map(([name, value]) => `-e "s|\\\${${name}}|${value}|g"`);
  const command = ['sed', ...edits, `${folder}/${file}`].join(' ');
  return command.includes('$PWD') ? `${escaped}; ${command.replaceAll('$PWD', '$folder')}` : command;
}
