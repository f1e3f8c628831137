import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { readServices } from '../../lib/cluster/embedded/services.ts';
import { runningProcesses } from '../../lib/runner/process-identity.ts';
import type { Random } from '../../lib/runner/tests/rig/random-graph.ts';
import { disk, fillDisk, freeDisk, networkDown, networkUp } from './machine.ts';

/** A run that is to be disturbed. */
export type Run = { readonly child: ChildProcess; readonly state: string };

export type Disturbance = {
  readonly name: string;
  /** Variables for the run, if it has to be prepared for the disturbance after so many milliseconds. */
  readonly env?: (afterMs: number) => NodeJS.ProcessEnv;
  /** Returns what was hit, for the protocol. */
  readonly strike: (run: Run) => Promise<string>;
  /** Ends what would go on. */
  readonly heal?: () => Promise<unknown>;
  /** The run itself is told to end, so nothing of it may be left. */
  readonly exitCode?: number;
};

const signals = ['SIGTERM', 'SIGINT', 'SIGKILL'] as const;
const exitCodes = { SIGTERM: 143, SIGINT: 130 } as { readonly [signal: string]: number };

export const pick = <Item>(random: Random, items: readonly Item[]): Item =>
  items[Math.floor(random() * items.length)] as Item;

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** Processes that the run started, and theirs, in the order of their start. */
export async function descendants(root: number): Promise<number[]> {
  const family = new Set([root]);
  for (const { pid, parent } of (await runningProcesses()).sort((one, other) => one.pid - other.pid))
    if (family.has(parent)) family.add(pid);
  family.delete(root);
  return [...family];
}

const ofRun = (random: Random): Disturbance => {
  const signal = pick(random, signals);
  const twice = signal === 'SIGINT' && random() < 0.3;
  const exitCode = exitCodes[signal];
  return {
    name: `${signal} of the run${twice ? ', twice' : ''}`,
    ...(exitCode !== undefined && { exitCode }),
    strike: async ({ child }) => {
      child.kill(signal);
      if (twice) setTimeout(() => child.kill(signal), 300);
      return `pid ${child.pid}`;
    },
  };
};

const ofChild = (random: Random): Disturbance => {
  const signal = pick(random, signals);
  const which = random();
  return {
    name: `${signal} of a child`,
    strike: async ({ child }) => {
      const pids = await descendants(child.pid ?? 0);
      const pid = pids[Math.floor(which * pids.length)];
      if (pid === undefined) return 'no child';
      const words = await commandOf(pid);
      send(pid, signal);
      return words;
    },
  };
};

const ofService = (random: Random): Disturbance => {
  const signal = pick(random, ['SIGKILL', 'SIGTERM'] as const);
  const which = random();
  return {
    name: `${signal} of a service`,
    strike: async ({ state }) => {
      const services = (await readServices(state)).sort((one, other) => (one.name < other.name ? -1 : 1));
      const service = services[Math.floor(which * services.length)];
      if (service === undefined) return 'no service';
      send(service.pid, signal);
      return service.name;
    },
  };
};

const fullDisk = (random: Random): Disturbance => {
  const left = Math.floor(random() ** 3 * 2 ** 22);
  return {
    name: `full disk, ${Math.round(left / 1024)} KiB left`,
    strike: async () => {
      await fillDisk(left);
      return 'disk';
    },
    heal: freeDisk,
  };
};

const noNetwork = (random: Random): Disturbance => {
  const ms = Math.floor(1000 + random() * 14_000);
  let up: NodeJS.Timeout | undefined;
  return {
    name: `network down for ${ms} ms`,
    strike: async () => {
      await networkDown();
      up = setTimeout(() => void networkUp(), ms);
      return 'loopback';
    },
    heal: async () => {
      clearTimeout(up);
      await networkUp();
    },
  };
};

/** The clock of the run: nobody may set a machine's clock in a namespace, and Go programs read it without libc. */
const clockJump = (random: Random): Disturbance => {
  const hours = pick(random, [-48, -1, 1, 48]);
  const jump = (afterMs: number) => `
    const { now } = Date, start = performance.now();
    Date.now = () => now() + (performance.now() - start > ${afterMs} ? ${hours * 3_600_000} : 0);
    const Real = Date;
    globalThis.Date = class extends Real { constructor(...a) { a.length ? super(...a) : super(Real.now()); } };`;
  return {
    name: `clock jumps by ${hours} h`,
    env: (afterMs) => ({
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(jump(afterMs))}`,
    }),
    strike: async () => 'clock',
  };
};

/** A disturbance, the same for the same numbers. On a cluster of other machines only those of the run. */
export function disturbance(random: Random): Disturbance {
  const kinds = [ofRun, ofRun, ofChild, ofChild, clockJump, ofService, ofService, fullDisk, noNetwork];
  return pick(random, disk === undefined ? kinds.slice(0, 5) : kinds)(random);
}

export async function commandOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.replaceAll('\0', ' ').slice(0, 100).trim();
}
