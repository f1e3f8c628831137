import { setTimeout as delay } from 'node:timers/promises';
import { type PageRow, TaskError } from '@k8s-deployment/runner';
import type { EnvironmentContext } from '../settings/context.ts';
import { readStatus } from './status.ts';
import { statusRows } from './status-text.ts';

/** Milliseconds for each query, since an old page is worse than an incomplete one. */
const answerMs = 5000;

/**
 * Shows the status again and again until the run is stopped or its reader has gone, whatever becomes of the cluster.
 */
export async function watchStatus(context: EnvironmentContext, everyMs = 3000): Promise<void> {
  let isRead = true;
  process.stdout.once('error', () => {
    isRead = false;
  });
  while (!context.signal.aborted && isRead) {
    const unknown: PageRow[] = [];
    const log = (text: string) => unknown.push({ name: '', text, tone: 'bad' });
    const rows = await readRows({ ...context, log });
    const time = `${new Date().toLocaleTimeString('en-GB')}, again every ${everyMs / 1000} s until Ctrl-C`;
    if (!context.signal.aborted) context.page([...rows, ...unknown, { name: '', text: time, tone: 'soft' }]);
    await delay(everyMs, undefined, { signal: context.signal }).catch(() => undefined);
  }
}

async function readRows(context: EnvironmentContext): Promise<readonly PageRow[]> {
  try {
    return await statusRows(await readStatus(context, answerMs), context);
  } catch (error) {
    if (!(error instanceof TaskError)) throw error;
    return [{ name: 'error', text: error.message, tone: 'bad' }];
  }
}
