import { runCli, type Task, task } from '@k8s-deployment/runner';
import { packed, tree } from '../graph-shape.ts';

/*
 * Our side of the comparison, as a user's file of tasks would be: the tasks are created at the start. `BENCH_COMMAND`
 * is what each of them runs (nothing when it is empty). `BENCH_TASKS` of them in a tree; with `BENCH_SLOTS` a packed
 * graph with a chain of that length.
 */
const { BENCH_TASKS = '10', BENCH_SLOTS, BENCH_COMMAND = '' } = process.env;
const size = Number(BENCH_TASKS);
const shape =
  BENCH_SLOTS === undefined ? tree(size, BENCH_COMMAND) : packed(Number(BENCH_SLOTS), size, BENCH_COMMAND);

const made = new Map<string, Task>();
// In a tree, needs come after their dependents; in the packed graph, only the root comes before its needs.
const needsFirst = BENCH_SLOTS === undefined ? shape.toReversed() : [...shape.slice(1), ...shape.slice(0, 1)];
for (const { name, needs, command } of needsFirst) {
  const needed = needs.flatMap((need) => made.get(need) ?? []);
  const commands = command === '' ? [] : [command];
  made.set(name, task({ name, description: name, needs: needed, commands: () => commands }));
}

process.exitCode = await runCli([...made.values()], process.argv.slice(2), {
  program: 'graph.ts',
  version: '1.0.0',
});
