import PQueue from 'p-queue';
import { $ } from 'zx';

// The same with zx alone: `zx-alone.mjs <how often> <command>`, two at a time.
const [, , times = '0', command = ''] = process.argv;
const queue = new PQueue({ concurrency: 2 });
const run = $({ quiet: true });
const pieces = Object.assign([command], { raw: [command] });
await queue.addAll(Array.from({ length: Number(times) }, () => () => run(pieces)));
