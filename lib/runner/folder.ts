import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the runner's sources, for the files that are read from it. */
export const runnerFolder = dirname(fileURLToPath(import.meta.url));
