import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Ended, ended } from '../../lib/runner/tests/rig/ended.ts';
import { isExecutable } from '../../lib/tools/cache.ts';
import type { FoundTool } from '../../lib/tools/get-tool.ts';
import type { ToolName } from '../../lib/tools/manifest.ts';
import { findTool } from '../../lib/tools/tools.ts';

/** Folder and variables of a program. */
export type Place = { readonly folder: string; readonly env: NodeJS.ProcessEnv };

export function callIn(place: Place, program: string, args: readonly string[], stdin = ''): Promise<Ended> {
  const child = spawn(program, args, { cwd: place.folder, env: place.env });
  // a program that reads no stdin may end before it is written
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  return ended(child);
}

/** stdout of a program; throws its error if it fails. */
export async function outputOf(...call: Parameters<typeof callIn>): Promise<string> {
  const [, program, args] = call;
  const { exitCode, stdout, stderr } = await callIn(...call);
  if (exitCode === 0) return stdout;
  throw new Error(`\`${program} ${args.join(' ')}\` ended with ${exitCode}:\n${stderr}`);
}

export const bash = (script: string, place: Place): Promise<Ended> => callIn(place, 'bash', ['-c', script]);

/**
 * An optional program: the one named by a variable, else the first of these names on PATH. Undefined when
 * there is none; a missing program in the variable is an error.
 */
export function findProgram(variable: string, ...names: readonly string[]): string | undefined {
  const { [variable]: given, PATH = '' } = process.env;
  if (given) accessSync(given, constants.X_OK);
  const folders = [...PATH.split(delimiter), '/usr/bin', '/usr/sbin'];
  return given || folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}

/** A tool installed by `tests/run.ts`. */
export async function toolOf(name: ToolName): Promise<FoundTool> {
  const tool = await findTool(name);
  if (tool) return tool;
  throw new Error(`Expected the tool ${name}: \`./run install-tools --tests --provider embedded\` gets it`);
}
