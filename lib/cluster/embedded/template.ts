import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../../ground/project.ts';

/** What the `${name}` of a template stand for. */
export type TemplateValues = { readonly [name: string]: string | number };

/** Templates lie beside the code, relative to the project. */
const folder = 'lib/cluster/embedded';

/** A template of this folder, filled in. Throws for a name without a value: the template and its user do not fit. */
export async function fillTemplate(file: string, values: TemplateValues): Promise<string> {
  const text = await readFile(join(root, folder, file), 'utf8');
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${folder}/${file} asks for \${${name}}, which has no value`);
    return String(value);
  });
}

/** The same as a plain command that prints the text; a value may use variables of the shell. */
export function fillCommand(file: string, values: TemplateValues): string {
  const edits = Object.entries(values).map(([name, value]) => `-e "s|\\\${${name}}|${value}|g"`);
  return ['sed', ...edits, `${folder}/${file}`].join(' ');
}
