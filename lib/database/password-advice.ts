import { taskCommand } from '../ground/launcher.ts';
import type { SecretKey } from '../settings/secret-reference.ts';

/** Advice if the password in a SOPS file is not the server's. */
export const passwordAdvice = (environment: string, { file }: SecretKey): string =>
  `run ${taskCommand('rotate-database-password')}, or restore the matching environments/${environment}/secrets/${file} (git)`;
