import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder, the base of all paths: tasks run from anywhere. */
export const root = dirname(fileURLToPath(new URL('..', import.meta.url)));
