import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder; paths start from it, so that tasks run from anywhere. */
export const root = dirname(fileURLToPath(new URL('..', import.meta.url)));
