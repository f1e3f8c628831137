import { checkArguments, kebab, specsOf } from './arguments.ts';
import { type Call, nextTask, usageLine } from './command-line.ts';
import { UsageError } from './errors.ts';
import { chainOf, dependencyOrder, type Graph, markLongRunning, type TaskNode } from './node.ts';
import {
  type AnyTask,
  type ArgumentValues,
  declared,
  needsOf,
  type Options,
  type TaskInput,
} from './task.ts';
import { checkTask, claimName, mistakeIn, type TaskNames } from './task-names.ts';

/** Turn of finalisers and their needs. */
const lateTurn = Number.POSITIVE_INFINITY;

type Request = {
  readonly task: AnyTask;
  readonly args: ArgumentValues;
  readonly passThrough?: readonly string[];
  readonly neededBy: TaskNode | undefined;
};

/** A larger graph never ends: a task needs itself with new arguments, or ever new tasks. */
const mostNodes = 100_000;

/**
 * Expands the needs of the requested tasks to a graph and checks it: arguments, including those of needs, names,
 * including those of the program's `listed` tasks, and cycles. A later requested task, with its own needs, comes
 * after earlier ones. Throws UsageError.
 */
export async function buildGraph(
  calls: readonly Call[],
  options: Options,
  program: string,
  listed?: TaskNames,
): Promise<Graph> {
  const nodes = new Map<string, TaskNode>();
  const names = new Map<string, AnyTask>(listed);
  const requests: (Request & { readonly neededBy: TaskNode })[] = [];
  const roots: TaskNode[] = [];
  const labels: string[] = [];
  for (const call of calls) {
    for (const step of await stepsOf(call)) await addRoot(step);
    labels.push((await addRoot(call)).label);
  }
  // Sets can grow while they are iterated: finalisers have needs and finalisers too.
  for (const node of nodes.values()) {
    for (const { task, args } of needsOf(node.task, node.input, 'finally')) {
      checkTask(task, 'finally', node.task);
      const finaliser = await expand({ task, args, neededBy: node }, lateTurn);
      finalise(finaliser, node);
    }
  }
  connectAfter([...nodes.values()]);
  const ordered = dependencyOrder([...nodes.values()]);
  await markLongRunning(ordered, roots);
  return { roots, label: labels.join(` ${nextTask} `), options, nodes: ordered };

  async function addRoot(call: Call): Promise<TaskNode> {
    const earlier = nodes.size;
    const root = await expand({ ...call, neededBy: undefined }, roots.length);
    if (nodes.size === earlier) checkRepeated(root, roots, call);
    if (roots.length > 0) for (const node of [...nodes.values()].slice(earlier)) comeAfter(node, roots);
    roots.push(root);
    return root;
  }

  async function stepsOf(call: Call): Promise<Call[]> {
    const { task, passThrough } = call;
    if (task.steps === undefined) return [];
    const args = (await checkRequest({ ...call, neededBy: undefined })) as TaskInput['args'];
    return needsOf(task, { args, options, passThrough }, 'steps').map((step) => {
      checkTask(step.task, 'steps', task);
      return { ...step, passThrough: [] };
    });
  }

  /** Creates the node and all its needs. */
  async function expand(first: Request, turn: number): Promise<TaskNode> {
    const top = await find(first, turn);
    for (let request = requests.pop(); request !== undefined; request = requests.pop())
      connect(await find(request, turn), request.neededBy);
    return top;
  }

  async function checkRequest({ task, args, neededBy }: Request): Promise<Options> {
    try {
      return await checkArguments(task.args ?? {}, args, {
        options,
        get usage() {
          return usageLine(task, program);
        },
      });
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const { what, why, advice } = error;
      if (neededBy !== undefined) {
        const how = `task \`${neededBy.label}\` gives wrong arguments to \`${task.name}\``;
        throw mistakeIn(neededBy.task, how, [what, why].filter(Boolean).join('; '));
      }
      if (calls.length === 1) throw error;
      throw new UsageError({ what: `${what} for task \`${task.name}\``, why, advice });
    }
  }

  async function find(request: Request, turn: number): Promise<TaskNode> {
    const { task, neededBy, passThrough = [] } = request;
    // Most tasks take no arguments, so there is nothing to check.
    const plain = task.args === undefined && Object.keys(request.args).length === 0;
    const args = plain ? {} : await checkRequest(request);
    claimName(task.name, task, names);
    // Without undefined arguments; the specs define the order.
    const given = Object.entries(args).filter(([, value]) => value !== undefined);
    const id = `${task.name} ${JSON.stringify(given)}`;
    const found = nodes.get(id);
    if (found !== undefined) return found;
    const input: TaskInput = { args: args as TaskInput['args'], options, passThrough };
    const node: TaskNode = {
      id,
      label: nodeLabel(task, args),
      task,
      input,
      needs: new Set(),
      comesAfter: new Set(),
      dependents: new Set(),
      neededBy,
      finalisers: new Set(),
      finalises: new Set(),
      late: turn === lateTurn,
      turn,
      longRunning: undefined,
    };
    if (neededBy !== undefined && task.steps !== undefined) {
      const what = `task \`${task.name}\` has \`steps\` and cannot be needed by \`${neededBy.task.name}\``;
      throw mistakeIn(neededBy.task, what, 'steps are for a task that is named on the command line');
    }
    nodes.set(id, node);
    if (nodes.size > mostNodes) throw endlessError(node);
    // Reversed because the list is a stack: needs are expanded in written order.
    for (const needed of needsOf(task, input).reverse()) {
      checkTask(needed.task, 'needs', task);
      requests.push({ ...needed, neededBy: node });
    }
    return node;
  }
}

function endlessError(node: TaskNode): UsageError {
  const labels = chainOf(node);
  const why = `${labels.slice(0, 4).join(' -> ')} -> …, more than ${mostNodes} tasks`;
  return mistakeIn(node.task, `task \`${node.task.name}\` needs itself or others without end`, why);
}

function connect(needed: TaskNode, dependent: TaskNode): void {
  dependent.needs.add(needed);
  needed.dependents.add(dependent);
}

/** Orders two nodes, unless one already needs the other. */
function connectOrder(earlier: TaskNode, later: TaskNode): void {
  if (later.needs.has(earlier)) return;
  connect(earlier, later);
  later.comesAfter.add(earlier);
}

/** Makes this task start after the earlier ones; its own needs already do. */
function comeAfter(node: TaskNode, earlier: readonly TaskNode[]): void {
  for (const needed of node.needs) if (needed.turn === node.turn) return;
  for (const root of earlier) connectOrder(root, node);
}

/** A run does each task once. Throws UsageError if the command line repeats one or would lose its words. */
function checkRepeated(root: TaskNode, earlier: readonly TaskNode[], { passThrough }: Call): void {
  const isNamed = earlier.includes(root);
  if (!isNamed && passThrough.length === 0) return;
  throw new UsageError({
    what: `task \`${root.label}\` ${isNamed ? 'is named twice' : 'is done before it gets its words after `--`'}`,
    why: `a run does it once${isNamed ? '' : ', and a task before it on the command line needs it'}`,
    advice: 'give it a command line of its own',
  });
}

function finalise(finaliser: TaskNode, node: TaskNode): void {
  if (!finaliser.late) {
    const what = `task \`${finaliser.label}\` is needed too early to be a finaliser of \`${node.label}\``;
    throw mistakeIn(node.task, what, 'a finaliser runs when all others have ended');
  }
  node.finalisers.add(finaliser);
  finaliser.finalises.add(node);
}

function connectAfter(nodes: readonly TaskNode[]): void {
  if (nodes.every(({ task }) => task.after === undefined)) return;
  const names = new Map(nodes.map(({ task }) => [task.name, task]));
  const byTask = new Map<AnyTask, TaskNode[]>(nodes.map(({ task }) => [task, []]));
  for (const node of nodes) byTask.get(node.task)?.push(node);
  for (const node of nodes) {
    const after = declared<readonly AnyTask[]>(node.task.after, node.input) ?? [];
    for (const task of after) {
      checkTask(task, 'after', node.task);
      if (names.has(task.name)) claimName(task.name, task, names);
    }
    for (const earlier of after.flatMap((task) => byTask.get(task) ?? [])) {
      // Different turns are already ordered: by the command line, and by finalisers being last.
      if (earlier !== node && earlier.turn === node.turn) connectOrder(earlier, node);
    }
  }
}

function nodeLabel(task: AnyTask, args: Options): string {
  const words: string[] = [task.name];
  for (const [name, spec] of specsOf(task)) {
    const value = args[name];
    const isFlag = spec.type === 'boolean';
    const usual = spec.default ?? (isFlag ? false : '');
    if (value === undefined || String(value) === String(usual)) continue;
    const text = Array.isArray(value) ? value.join(' ') : String(value);
    if (spec.positional) words.push(text);
    else if (isFlag) words.push(`--${value === true ? '' : 'no-'}${kebab(name)}`);
    else words.push(`--${kebab(name)}=${text}`);
  }
  return words.join(' ');
}
