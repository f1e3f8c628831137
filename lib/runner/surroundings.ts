import { resolve } from 'node:path';
import { shortPath } from './call-site.ts';
import type { TaskNode } from './node.ts';
import { type CommandOptions, quote } from './shell.ts';
import { declared, type Variables } from './task.ts';

/** Absolute path of the folder that the task declares for its commands, if any. */
function declaredFolder({ task, input }: TaskNode): string | undefined {
  const folder = declared<string>(task.cwd, input);
  return folder === undefined ? undefined : resolve(folder);
}

function declaredVariables({ task, input }: TaskNode): Variables | undefined {
  return declared<Variables>(task.env, input);
}

/** Options of a task's commands: what it declares, then `base`, then this process's. */
export function surroundingsOf(node: TaskNode, base: CommandOptions = {}): CommandOptions {
  const folder = declaredFolder(node);
  const variables = declaredVariables(node);
  return {
    ...base,
    ...(folder === undefined ? {} : { cwd: folder }),
    ...(variables === undefined ? {} : { env: { ...(base.env ?? process.env), ...variables } }),
  };
}

/**
 * A node's commands, ready to paste: with its folder and variables, and a long-running process in the background.
 * Omits variables that our own environment has too.
 */
export async function plainCommands(node: TaskNode): Promise<string[]> {
  const commands = await node.task.commands(node.input);
  const folder = declaredFolder(node);
  const before = folder === undefined || folder === process.cwd() ? [] : [`cd ${quote(shortPath(folder))}`];
  const variables = Object.entries(declaredVariables(node) ?? {})
    .filter(([name, value]) => process.env[name] !== value)
    .map(([name, value]) => `${name}=${quote(value)}`);
  if (variables.length > 0) before.push(`export ${variables.join(' ')}`);
  return commands.map((command, index) => {
    const whole = before.length === 0 ? command : `(${[...before, command].join(' && ')})`;
    return node.longRunning !== undefined && index === commands.length - 1 ? `${whole} &` : whole;
  });
}
