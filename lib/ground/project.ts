import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. Every path of ours is made from it, so that a task may be called from anywhere. */
export const root = dirname(fileURLToPath(new URL('..', import.meta.url)));
