import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the runner's sources. Files that are read from it are named by it: a module of the built library has no place of its own. */
export const runnerFolder = dirname(fileURLToPath(import.meta.url));
