import { formatPlace } from './call-site.ts';
import { UsageError } from './errors.ts';
import type { TaskNode } from './node.ts';
import { declared, isEmpty, type Readiness } from './task.ts';

const kinds = ['port', 'url', 'log', 'command'] as const;

/**
 * Sets `longRunning` of each node whose task declares `ready`. Throws UsageError for a readiness that cannot be, and for a
 * requested one before other `roots`, which would wait for ever.
 */
export async function markLongRunning(nodes: readonly TaskNode[], roots: readonly TaskNode[]): Promise<void> {
  const groups = new Map<TaskNode, boolean>();
  const needed = neededByFinalisers(nodes);
  for (const node of nodes) {
    const readiness = declared<Readiness>(node.task.ready, node.input);
    if (readiness === undefined) continue;
    checkReadiness(node, readiness);
    const { keptBy, requested } = await keepersOf(node);
    if (requested !== undefined && requested !== roots.at(-1)) {
      throw new UsageError({
        what: `task \`${requested.label}\` runs until a signal comes, and the tasks after it would never start`,
        advice: 'name it last, or let a task that uses it need it',
      });
    }
    node.longRunning = {
      readiness,
      keptBy,
      requested: requested !== undefined,
      outlivesSignals: needed.has(node),
    };
  }

  /** A task that does nothing itself, such as one that only brings servers together, stands for those who need it as well. */
  async function keepersOf(
    first: TaskNode,
  ): Promise<{ keptBy: Set<TaskNode>; requested: TaskNode | undefined }> {
    const keptBy = new Set<TaskNode>();
    const seen = new Set([first]);
    for (const node of seen) {
      for (const dependent of node.dependents) {
        keptBy.add(dependent);
        if (await isGroup(dependent)) seen.add(dependent);
      }
    }
    return { keptBy, requested: roots.find((root) => seen.has(root)) };
  }

  async function isGroup(node: TaskNode): Promise<boolean> {
    const { task, input } = node;
    if (task.ready !== undefined) return false;
    const group = groups.get(node) ?? (await isEmpty(task, input));
    groups.set(node, group);
    return group;
  }
}

function neededByFinalisers(nodes: readonly TaskNode[]): Set<TaskNode> {
  const needed = new Set<TaskNode>();
  for (const node of nodes) if (node.finalises.length > 0) for (const need of node.needs) needed.add(need);
  for (const node of needed) for (const need of node.needs) needed.add(need);
  return needed;
}

function checkReadiness(node: TaskNode, readiness: Readiness): void {
  const wrong = mistake(node, readiness);
  if (wrong === undefined) return;
  throw new UsageError({
    what: `task \`${node.label}\` cannot become ready: ${wrong}`,
    advice: `see ${formatPlace(node.task)}`,
  });
}

function mistake(node: TaskNode, readiness: Readiness): string | undefined {
  if (node.task.interactive) return 'a long-running process cannot have the terminal';
  const given = kinds.filter((kind) => readiness[kind] !== undefined);
  if (given.length !== 1) {
    return `expected exactly one of ${kinds.join(', ')}, got ${given.length === 0 ? 'none' : given.join(' and ')}`;
  }
  const { port, url, timeoutMs } = readiness;
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536))
    return `expected \`port\` to be an integer from 1 to 65535, got \`${port}\``;
  if (url !== undefined && !(URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)))
    return `expected \`url\` to begin with http:// or https://, got \`${url}\``;
  if (timeoutMs !== undefined && !(timeoutMs > 0))
    return `expected \`timeoutMs\` to be a number of milliseconds above 0, got \`${timeoutMs}\``;
  return undefined;
}
