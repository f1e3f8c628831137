import { writeFileSync } from 'node:fs';

// Where it comes by NODE_OPTIONS, every Node process below the run has it too: only the script that ends so is meant.
const { BENCH_PEAK_MEMORY: file, BENCH_PEAK_MEMORY_OF: script } = process.env;
if (file !== undefined && script !== undefined && process.argv[1]?.endsWith(script)) {
  // The kernel's own high-water mark of the resident set, in KiB: nothing is missed between two samples.
  process.once('exit', () => writeFileSync(file, String(process.resourceUsage().maxRSS)));
}
