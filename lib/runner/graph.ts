import { checkArguments, specsOf } from './arguments.ts';
import { formatPlace } from './call-site.ts';
import { usageLine } from './command-line.ts';
import { UsageError } from './errors.ts';
import { type AnyTask, type ArgumentValues, needsOf, type Options, type TaskInput } from './task.ts';

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
};

/** The nodes of a run in dependency order; the requested one is the last. */
export type Graph = { readonly root: TaskNode; readonly nodes: readonly TaskNode[] };

type Request = {
  readonly task: AnyTask;
  readonly args: ArgumentValues;
  readonly neededBy: TaskNode | undefined;
};

/** More nodes than this can only come from a task that needs itself with ever new arguments. */
const maximumNodes = 50_000;

/**
 * Expands a task's needs to the whole graph and checks it: arguments, also those that needs pass on, and cycles. Throws
 * UsageError.
 */
export async function buildGraph(
  requested: {
    readonly task: AnyTask;
    readonly args: ArgumentValues;
    readonly passThrough: readonly string[];
  },
  options: Options,
  program: string,
): Promise<Graph> {
  const nodes = new Map<string, TaskNode>();
  const requests: Request[] = [{ task: requested.task, args: requested.args, neededBy: undefined }];
  let root: TaskNode | undefined;

  for (let request = requests.pop(); request !== undefined; request = requests.pop()) {
    const { task, neededBy } = request;
    const args = await checkRequest(request, options, program);
    const id = `${task.name} ${JSON.stringify(canonical(args))}`;
    const node = nodes.get(id) ?? create(id, request, args);
    root ??= node;
    if (neededBy !== undefined) connect(node, neededBy);
  }
  if (root === undefined) throw new Error('no task was requested');
  connectAfter([...nodes.values()]);
  return { root, nodes: dependencyOrder([...nodes.values()]) };

  function create(id: string, { task, neededBy }: Request, args: Options): TaskNode {
    const passThrough = neededBy === undefined ? requested.passThrough : [];
    const input: TaskInput = { args: args as TaskInput['args'], options, passThrough };
    const label = nodeLabel(task, args);
    const node: TaskNode = { id, label, task, input, needs: new Set(), dependents: new Set(), neededBy };
    nodes.set(id, node);
    if (nodes.size > maximumNodes) throw new Error(`task \`${task.name}\` needs itself without end`);
    // Reversed because the list is a stack: needs are expanded in the order in which they are written.
    for (const needed of needsOf(task, input).reverse()) requests.push({ ...needed, neededBy: node });
    return node;
  }
}

async function checkRequest(
  { task, args, neededBy }: Request,
  options: Options,
  program: string,
): Promise<Options> {
  try {
    return await checkArguments(task.args ?? {}, args, { options, usage: usageLine(task, program) });
  } catch (error) {
    if (neededBy === undefined || !(error instanceof UsageError)) throw error;
    throw new UsageError({
      what: `task \`${neededBy.label}\` needs \`${task.name}\` in a wrong way`,
      why: [error.what, error.why].filter(Boolean).join('; '),
      advice: `see ${formatPlace(neededBy.task)}`,
    });
  }
}

function connect(needed: TaskNode, dependent: TaskNode): void {
  dependent.needs.add(needed);
  needed.dependents.add(dependent);
}

function connectAfter(nodes: readonly TaskNode[]): void {
  const byTask = new Map<AnyTask, TaskNode[]>();
  for (const node of nodes) byTask.set(node.task, [...(byTask.get(node.task) ?? []), node]);
  for (const node of nodes) {
    const after =
      typeof node.task.after === 'function' ? node.task.after(node.input) : (node.task.after ?? []);
    for (const earlier of after.flatMap((task) => byTask.get(task) ?? [])) {
      if (earlier !== node) connect(earlier, node);
    }
  }
}

/**
 * Needs before dependents, in the order in which they are written, depth first: the order in which a person would run
 * them by hand. Throws when there is a cycle. A stack of its own, since a chain of 10,000 needs overflows the real one.
 */
function dependencyOrder(nodes: readonly TaskNode[]): TaskNode[] {
  const ordered = new Set<TaskNode>();
  const open = new Set<TaskNode>();
  for (const first of nodes) {
    if (ordered.has(first)) continue;
    const stack = [enter(first)];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { value: needed, done } = top.rest.next();
      if (done) {
        open.delete(top.node);
        ordered.add(top.node);
        stack.pop();
      } else if (open.has(needed)) {
        throw cycleError([...open].slice([...open].indexOf(needed)));
      } else if (!ordered.has(needed)) {
        stack.push(enter(needed));
      }
    }
  }
  return [...ordered];

  function enter(node: TaskNode): { readonly node: TaskNode; readonly rest: Iterator<TaskNode, undefined> } {
    open.add(node);
    return { node, rest: node.needs.values() };
  }
}

function cycleError(path: readonly TaskNode[]): Error {
  const steps = [...path, ...path.slice(0, 1)].map((node) => `${node.label} (${formatPlace(node.task)})`);
  return new UsageError({
    what: 'tasks need each other in a circle',
    why: steps.join(' -> '),
    advice: 'remove one of these needs',
  });
}

/** What is undefined does not count; the order is that of the specs already, whatever order they were given in. */
function canonical(args: Options): [string, unknown][] {
  return Object.entries(args).filter(([, value]) => value !== undefined);
}

function nodeLabel(task: AnyTask, args: Options): string {
  const words: string[] = [task.name];
  for (const [name, spec] of specsOf(task)) {
    const value = args[name];
    if (value === undefined || value === false || String(value) === String(spec.default ?? '')) continue;
    const text = Array.isArray(value) ? value.join(spec.positional ? ' ' : ',') : String(value);
    words.push(spec.positional ? text : value === true ? `--${name}` : `--${name}=${text}`);
  }
  return words.join(' ');
}
