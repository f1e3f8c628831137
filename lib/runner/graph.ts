import { checkArguments, kebab, specsOf } from './arguments.ts';
import { formatPlace } from './call-site.ts';
import { usageLine } from './command-line.ts';
import { dependencyOrder } from './dependency-order.ts';
import { UsageError } from './errors.ts';
import type { LongRunningNode } from './long-running-nodes.ts';
import {
  type AnyTask,
  type ArgumentValues,
  longForm,
  type Need,
  needsOf,
  type Options,
  type TaskInput,
} from './task.ts';
import { claimName, type TaskNames } from './task-names.ts';

/** One task with one set of arguments; a shared need is one node. */
export type TaskNode = {
  /** Name and canonical arguments; unique. */
  readonly id: string;
  /** As a user would type it: `install-app app1`. */
  readonly label: string;
  readonly task: AnyTask;
  readonly input: TaskInput;
  /** What must be done first: needs, and `after` tasks that are part of the run. */
  readonly needs: Set<TaskNode>;
  readonly dependents: Set<TaskNode>;
  /** The first node that asked for this one; undefined for the requested task. */
  readonly neededBy: TaskNode | undefined;
  /** Its finalisers. */
  readonly finalisers: TaskNode[];
  /** The nodes that it is a finaliser of. */
  readonly finalises: TaskNode[];
  /** Only there for a finaliser: no need leads to it from the requested task. */
  readonly late: boolean;
  /** Set for a long-running process. */
  longRunning: LongRunningNode | undefined;
};

/**
 * The nodes of a run in dependency order: the requested one is the last of those that are needed, after it come the
 * finalisers with what only they need.
 */
export type Graph = { readonly root: TaskNode; readonly nodes: readonly TaskNode[] };

type Request = {
  readonly task: AnyTask;
  readonly args: ArgumentValues;
  readonly neededBy: TaskNode | undefined;
  /** The node that it is to be a finaliser of. */
  readonly finalises?: TaskNode;
};

/** So often a graph is looked at for a chain that never ends: a task that needs itself with ever new arguments. */
const lookEvery = 10_000;
/** A task that is so often in one chain of needs never comes to an end; nor does a chain of ever new tasks that is so long. */
const mostInChain = 60_000;
const longestChain = 500_000;

/**
 * Expands a task's needs to the whole graph and checks it: arguments, also those that needs pass on, names, also against the
 * `listed` ones of the program, and cycles. Throws UsageError.
 */
export async function buildGraph(
  requested: {
    readonly task: AnyTask;
    readonly args: ArgumentValues;
    readonly passThrough: readonly string[];
  },
  options: Options,
  program: string,
  listed?: TaskNames,
): Promise<Graph> {
  const nodes = new Map<string, TaskNode>();
  const names = new Map<string, AnyTask>();
  const requests: Request[] = [];
  const root = await expand({ task: requested.task, args: requested.args, neededBy: undefined }, false);
  // A set grows while it is walked: finalisers have needs and finalisers of their own.
  for (const node of nodes.values()) {
    for (const { task, args } of finalisersOf(node)) {
      checkTask(task, 'finally', node.task);
      const finaliser = await expand({ task, args, neededBy: node, finalises: node }, true);
      finalise(finaliser, node);
    }
  }
  connectAfter([...nodes.values()]);
  const ordered = dependencyOrder([...nodes.values()]);
  if (ordered.some((node) => node.task.ready !== undefined)) {
    const { markLongRunning } = await import('./long-running-nodes.ts');
    await markLongRunning(ordered, root);
  }
  return { root, nodes: ordered };

  /** Makes the node and all that it needs. */
  async function expand(first: Request, late: boolean): Promise<TaskNode> {
    let top: TaskNode | undefined;
    requests.push(first);
    for (let request = requests.pop(); request !== undefined; request = requests.pop()) {
      // Most tasks take no arguments: nothing of them has to be checked.
      const plain = request.task.args === undefined && Object.keys(request.args).length === 0;
      const node = find(request, plain ? {} : await checkRequest(request, options, program), late);
      top ??= node;
      if (request.neededBy !== undefined && request !== first) connect(node, request.neededBy);
    }
    if (top === undefined) throw new Error('no task was requested');
    return top;
  }

  function find(request: Request, args: Options, late: boolean): TaskNode {
    claimName(request.task.name, request.task, names, listed);
    const id = `${request.task.name} ${JSON.stringify(canonical(args))}`;
    return nodes.get(id) ?? create(id, request, args, late);
  }

  function create(id: string, { task, neededBy }: Request, args: Options, late: boolean): TaskNode {
    const passThrough = neededBy === undefined ? requested.passThrough : [];
    const input: TaskInput = { args: args as TaskInput['args'], options, passThrough };
    const label = nodeLabel(task, args);
    const node: TaskNode = {
      id,
      label,
      task,
      input,
      needs: new Set(),
      dependents: new Set(),
      neededBy,
      finalisers: [],
      finalises: [],
      late,
      longRunning: undefined,
    };
    checkNumbers(task);
    nodes.set(id, node);
    if (nodes.size % lookEvery === 0) checkEnd(node);
    // Reversed because the list is a stack: needs are expanded in the order in which they are written.
    for (const needed of needsOf(task, input).reverse()) {
      checkTask(needed.task, 'needs', task);
      requests.push({ ...needed, neededBy: node });
    }
    return node;
  }
}

async function checkRequest(
  { task, args, neededBy, finalises }: Request,
  options: Options,
  program: string,
): Promise<Options> {
  try {
    return await checkArguments(task.args ?? {}, args, {
      options,
      get usage() {
        return usageLine(task, program);
      },
    });
  } catch (error) {
    if (neededBy === undefined || !(error instanceof UsageError)) throw error;
    throw new UsageError({
      what: `task \`${neededBy.label}\` ${finalises === undefined ? 'needs' : 'has the finaliser'} \`${task.name}\` in a wrong way`,
      why: [error.what, error.why].filter(Boolean).join('; '),
      advice: `see ${formatPlace(neededBy.task)}`,
    });
  }
}

/** The compiler refuses what is no task, but not a task of which the file is not loaded yet: that is undefined. */
function checkTask(needed: unknown, field: 'needs' | 'finally' | 'after', owner: AnyTask): void {
  const { name, commands } = (needed ?? {}) as Partial<AnyTask>;
  if (typeof name === 'string' && typeof commands === 'function') return;
  throw new UsageError({
    what: `\`${field}\` of task \`${owner.name}\` holds something that is no task: \`${String(needed)}\``,
    why: 'needs are tasks, not names; one whose declaration comes later is undefined until then',
    advice: `see ${formatPlace(owner)}; \`${field}: () => […]\` is read when all are declared`,
  });
}

/** A number that was calculated may be none. Throws UsageError. */
function checkNumbers(task: AnyTask): void {
  const { retries = 0, retryDelayMs = 0, timeoutMs = 1 } = task;
  const [field, expected] =
    !Number.isInteger(retries) || retries < 0
      ? (['retries', 'a whole number, 0 or more'] as const)
      : !(retryDelayMs >= 0)
        ? (['retryDelayMs', 'a number of milliseconds, 0 or more'] as const)
        : !(timeoutMs > 0)
          ? (['timeoutMs', 'a number of milliseconds above 0'] as const)
          : [];
  if (field === undefined) return;
  throw new UsageError({
    what: `\`${field}\` of task \`${task.name}\` is \`${task[field]}\``,
    why: `expected ${expected}`,
    advice: `see ${formatPlace(task)}`,
  });
}

/** Throws UsageError for a node at the end of a chain that can only be endless. */
function checkEnd(node: TaskNode): void {
  const chain: TaskNode[] = [];
  for (let next: TaskNode | undefined = node; next !== undefined; next = next.neededBy) chain.push(next);
  const itself = chain.filter(({ task }) => task === node.task).length >= mostInChain;
  if (!itself && chain.length < longestChain) return;
  const first = chain.slice(-4).reverse();
  throw new UsageError({
    what: `task \`${node.task.name}\` needs ${itself ? 'itself' : 'others'} without end`,
    why: `${first.map(({ label }) => label).join(' -> ')} -> …, ever new ${itself ? 'arguments' : 'tasks'}`,
    advice: `see ${formatPlace(node.task)}`,
  });
}

function connect(needed: TaskNode, dependent: TaskNode): void {
  dependent.needs.add(needed);
  needed.dependents.add(dependent);
}

function finalisersOf({ task, input }: TaskNode): Required<Need>[] {
  if (task.finally === undefined) return [];
  return longForm(typeof task.finally === 'function' ? task.finally(input) : task.finally);
}

function finalise(finaliser: TaskNode, node: TaskNode): void {
  // Looked up in the shorter list: one finaliser of thousands of tasks and thousands of one task are both possible.
  const { finalisers } = node;
  const { finalises } = finaliser;
  if (finalisers.length < finalises.length ? finalisers.includes(finaliser) : finalises.includes(node))
    return;
  if (node.late && !finaliser.late) {
    // Needed before the requested task ends, and to run after a task that begins when that has ended.
    throw new UsageError({
      what: `task \`${finaliser.label}\` is needed too early to be a finaliser of \`${node.label}\``,
      why: `\`${node.label}\` is a finaliser itself, or needed by one: it runs when all others have ended`,
      advice: `see ${formatPlace(node.task)}`,
    });
  }
  finalisers.push(finaliser);
  finalises.push(node);
}

function connectAfter(nodes: readonly TaskNode[]): void {
  if (nodes.every(({ task }) => task.after === undefined)) return;
  const names = new Map(nodes.map(({ task }) => [task.name, task]));
  const byTask = new Map<AnyTask, TaskNode[]>();
  for (const node of nodes) {
    const same = byTask.get(node.task);
    if (same === undefined) byTask.set(node.task, [node]);
    else same.push(node);
  }
  for (const node of nodes) {
    const after =
      typeof node.task.after === 'function' ? node.task.after(node.input) : (node.task.after ?? []);
    for (const task of after) {
      checkTask(task, 'after', node.task);
      if (names.has(task.name)) claimName(task.name, task, names);
    }
    for (const earlier of after.flatMap((task) => byTask.get(task) ?? [])) {
      // Nothing waits for a task that is only there as a finaliser, and that one comes after all others anyway.
      if (earlier !== node && earlier.late === node.late) connect(earlier, node);
    }
  }
}

/** What is undefined does not count; the order is that of the specs already, whatever order they were given in. */
function canonical(args: Options): [string, unknown][] {
  return Object.entries(args).filter(([, value]) => value !== undefined);
}

function nodeLabel(task: AnyTask, args: Options): string {
  const words: string[] = [task.name];
  for (const [name, spec] of specsOf(task)) {
    const value = args[name];
    const isFlag = spec.type === 'boolean' && !spec.positional;
    const usual = spec.default ?? (isFlag && !spec.optional ? false : '');
    if (value === undefined || String(value) === String(usual)) continue;
    const text = Array.isArray(value) ? value.join(spec.positional ? ' ' : ',') : String(value);
    if (spec.positional) words.push(text);
    else if (isFlag) words.push(`--${value === true ? '' : 'no-'}${kebab(name)}`);
    else words.push(`--${kebab(name)}=${text}`);
  }
  return words.join(' ');
}
