import { existsSync } from 'node:fs';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '@k8s-deployment/runner';

/** Throws `UsageError` unless this folder can be written to, or created. Creates nothing. */
export async function checkWritable(path: string): Promise<void> {
  let folder = resolve(path);
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    // Only an attempt tells, as for root and on read-only disks.
    await rmdir(await mkdtemp(join(folder, '.probe-')));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError({
      what: `cannot write to ${path}`,
      why:
        code === 'ENOTDIR' ? `${folder} is a file` : `${folder} is not writable (${message.split(',')[0]})`,
      advice: 'name a folder that you may write to',
    });
  }
}
