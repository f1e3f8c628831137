import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TaskNode } from '../../node.ts';
import { type FailureMode, type Launched, runSchedule } from '../../schedule.ts';
import { randomGraph, randomOf, withSeeds } from '../rig/random-graph.ts';

type Step = { readonly node: TaskNode; readonly late: boolean; readonly end: (ok: boolean) => void };
type Process = {
  readonly node: TaskNode;
  readonly end: (asked: boolean) => void;
  asked: boolean;
};

const modes: readonly FailureMode[] = ['no-new', 'continue', 'kill'];

/** Runs a random graph, whose nodes the test ends in random order, and checks everything that must hold in any run. */
async function trial(seed: number): Promise<void> {
  const random = randomOf(seed * 7919);
  const failing = seed % 4 === 0 ? 0 : random() * 0.1;
  const { nodes, roots } = await randomGraph(random, {
    size: 20 + Math.floor(random() * 280),
    mutex: random() * 0.2,
    interactive: 0.02,
    ready: random() * 0.1,
    group: 0.1,
    finally: random() * 0.15,
  });
  const jobs = 1 + Math.floor(random() * 16);
  const failureMode = modes[seed % 3] ?? 'no-new';
  const interruptAfter = seed % 5 === 0 ? Math.floor(random() * nodes.length) : Number.POSITIVE_INFINITY;
  const abort = new AbortController();
  const steps: Step[] = [];
  const processes = new Map<TaskNode, Process>();
  const running = new Map<TaskNode, boolean>();
  const started = new Set<TaskNode>();
  const ended = new Set<TaskNode>();
  const good = new Set<TaskNode>();
  const failed = new Set<TaskNode>();
  const skipped = new Map<TaskNode, TaskNode | undefined>();
  let failedInMain = 0;
  let killed = 0;
  let over = false;

  const begin = (node: TaskNode, late: boolean): void => {
    assert.not(started.has(node) || skipped.has(node), `twice: ${node.label}`);
    for (const needed of node.needs) {
      const isThere = needed.longRunning === undefined ? good.has(needed) : processes.has(needed);
      assert.ok(isThere, `${node.label} before ${needed.label}`);
    }
    for (const other of running.keys()) {
      assert.not(other.task.interactive || node.task.interactive, `${node.label} not alone`);
      assert.ok(other.task.mutex === undefined || other.task.mutex !== node.task.mutex, 'mutex taken twice');
      assert.is(running.get(other), late, `${node.label} beside ${other.label}: all else must be over`);
    }
    if (late) {
      const forSomebody = (finaliser: TaskNode): boolean =>
        finaliser.finalises.some((owner) => started.has(owner));
      const reached = new Set([node]);
      for (const one of reached) for (const dependent of one.dependents) reached.add(dependent);
      assert.ok([...reached].some(forSomebody), `${node.label} runs late for nobody`);
    } else {
      assert.not(node.late, `${node.label} too early`);
      assert.not(abort.signal.aborted, `${node.label} after the signal`);
      if (failureMode !== 'continue') assert.is(failedInMain, 0, `${node.label} after a failure`);
    }
    started.add(node);
    running.set(node, late);
    assert.ok(running.size <= jobs, 'too many at once');
  };
  const fail = (node: TaskNode, late: boolean): void => {
    failed.add(node);
    if (!late) failedInMain += 1;
  };

  const schedule = runSchedule({
    nodes,
    jobs,
    failureMode,
    signal: abort.signal,
    run: (node, late) => {
      begin(node, late);
      return new Promise((resolve) => {
        const end = (ok: boolean): void => {
          running.delete(node);
          ended.add(node);
          if (ok) good.add(node);
          else fail(node, late);
          resolve(ok);
        };
        steps.push({ node, late, end });
      });
    },
    launch: (node): Launched => {
      begin(node, false);
      let tellReady: (ok: boolean) => void = () => {};
      let tellEnded: (asked: boolean) => void = () => {};
      const ready = new Promise<boolean>((resolve) => {
        tellReady = resolve;
      });
      const end = new Promise<boolean>((resolve) => {
        tellEnded = resolve;
      });
      const process: Process = {
        node,
        asked: false,
        end: (asked) => {
          processes.delete(node);
          running.delete(node);
          ended.add(node);
          if (asked) good.add(node);
          else fail(node, false);
          tellReady(false);
          tellEnded(asked);
        },
      };
      steps.push({
        node,
        late: false,
        end: (ok) => {
          if (ended.has(node)) return;
          running.delete(node);
          if (!ok) {
            process.end(false);
            return;
          }
          processes.set(node, process);
          tellReady(true);
        },
      });
      const stop = (): void => {
        assert.not(process.asked, `${node.label} ended twice`);
        process.asked = true;
        const kept = node.longRunning;
        for (const keeper of kept?.keptBy ?? [])
          assert.ok(ended.has(keeper) || skipped.has(keeper), `${node.label} ended before ${keeper.label}`);
        if (kept?.requested)
          assert.ok(abort.signal.aborted || failedInMain > 0, `${node.label} was asked for, and ended`);
      };
      return { ready, ended: end, stop };
    },
    skip: (node, because) => {
      assert.not(skipped.has(node) || started.has(node), `left out, but ran: ${node.label}`);
      if (because !== undefined) assert.ok(failed.has(because), `${node.label} left out for nothing`);
      skipped.set(node, because);
    },
    kill: () => {
      assert.is(failureMode, 'kill');
      killed += 1;
      abort.abort();
    },
  }).then(() => {
    over = true;
  });
  schedule.catch(() => {
    over = true;
  });

  for (let step = 0; !over; ) {
    // Lets the scheduler do all that it can do without us; it gives the event loop a turn of its own now and then.
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    if (over) break;
    // p-queue is still being loaded.
    if (started.size === 0) continue;
    step += 1;
    if (step >= interruptAfter) abort.abort();
    const interrupted = (late: boolean): boolean => abort.signal.aborted && !late;
    const asked = [...processes.values()].filter((process) => process.asked);
    const dying = abort.signal.aborted ? [...processes.values()] : [];
    const choices = steps.length + asked.length + dying.length;
    if (choices === 0) {
      // Nothing but what the user asked for runs on.
      assert.ok(
        [...processes.keys()].some((node) => node.longRunning?.requested),
        'no end',
      );
      assert.not(abort.signal.aborted, 'no end after the signal');
      assert.ok(failedInMain === 0 || failureMode === 'continue', 'no end after a failure');
      abort.abort();
      continue;
    }
    if (processes.size > 0 && random() < failing / 4) {
      const [process] = processes.values();
      process?.end(process.asked);
      continue;
    }
    const choice = Math.floor(random() * choices);
    if (choice < steps.length) {
      const [chosen] = steps.splice(choice, 1);
      chosen?.end(!interrupted(chosen.late) && random() >= failing);
    } else {
      const process = [...asked, ...dying][choice - steps.length];
      process?.end(process.asked);
    }
  }
  await schedule;
  assert.is(
    running.size + processes.size + steps.filter(({ node }) => !ended.has(node)).length,
    0,
    'ended early',
  );
  assert.is(ended.size + skipped.size, nodes.length, 'lost');
  assert.is(good.size + failed.size, ended.size, 'in two states');
  assert.ok(killed <= failedInMain);
  for (const [node, because] of skipped) {
    if (node.finalises.some((owner) => started.has(owner)))
      assert.ok(because !== undefined, `the finaliser ${node.label} was left out for nothing`);
    else if (failureMode === 'continue' && !abort.signal.aborted && !node.late)
      assert.ok(because !== undefined, `${node.label} was left out for nothing`);
  }
  if (failed.size === 0) assert.equal([...skipped.keys()], []);
  if (failed.size === 0) assert.ok(roots.every((root) => good.has(root)));
}

test('random graphs: needs first, nothing twice, nothing lost, never too many, finalisers last, always an end', () =>
  withSeeds(120, trial));

test.run();
