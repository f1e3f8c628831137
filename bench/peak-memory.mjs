import { writeFileSync } from 'node:fs';

// Imported into a run by NODE_OPTIONS, so every Node process below it has it too: only the run itself is meant.
const file = process.env.BENCH_PEAK_MEMORY;
if (file !== undefined && process.argv[1]?.endsWith('/tasks.ts')) {
  // The kernel's own high-water mark of the resident set, in KiB: nothing is missed between two samples.
  process.once('exit', () => writeFileSync(file, String(process.resourceUsage().maxRSS)));
}
