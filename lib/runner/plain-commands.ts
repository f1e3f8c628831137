import { relative } from 'node:path';
import { quote } from './command-text.ts';
import type { TaskNode } from './graph.ts';
import { declaredFolder, declaredVariables } from './surroundings.ts';

/**
 * The commands of a node as a person would paste them: with its folder and variables, and a long-running process in the
 * background. Variables that are the same in our own environment are left out: a shell that pastes has them too.
 */
export async function plainCommands(node: TaskNode): Promise<string[]> {
  const commands = await node.task.commands(node.input);
  const folder = declaredFolder(node);
  const before = folder === undefined || folder === process.cwd() ? [] : [`cd ${quote(shorter(folder))}`];
  const variables = Object.entries(declaredVariables(node) ?? {})
    .filter(([name, value]) => process.env[name] !== value)
    .map(([name, value]) => `${name}=${quote(value)}`);
  if (variables.length > 0) before.push(`export ${variables.join(' ')}`);
  return commands.map((command, index) => {
    const whole = before.length === 0 ? command : `(${[...before, command].join(' && ')})`;
    return node.longRunning !== undefined && index === commands.length - 1 ? `${whole} &` : whole;
  });
}

function shorter(folder: string): string {
  const path = relative(process.cwd(), folder);
  return path.startsWith('..') ? folder : path;
}
