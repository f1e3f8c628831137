import { writeFileSync } from 'node:fs';

// NODE_OPTIONS loads this into every Node process of the run; only the script with this ending counts.
const { BENCH_PEAK_MEMORY: file, BENCH_PEAK_MEMORY_OF: script } = process.env;
if (file !== undefined && script !== undefined && process.argv[1]?.endsWith(script)) {
  // The kernel's high-water mark of the resident set, in KiB: unlike sampling, it misses nothing.
  process.once('exit', () => writeFileSync(file, String(process.resourceUsage().maxRSS)));
}
