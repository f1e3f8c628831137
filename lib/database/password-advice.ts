import { taskCommand } from '../ground/launcher.ts';
import type { SecretKey } from '../settings/secret-reference.ts';

/** The way out when a SOPS file and the server have come apart. */
export const passwordAdvice = (environment: string, { file }: SecretKey): string =>
  `run ${taskCommand('rotate-database-password')}, or bring back the environments/${environment}/secrets/${file} that fits (git)`;
