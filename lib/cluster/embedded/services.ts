import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  childrenOf,
  isSameProcess,
  type ProcessIdentity,
  parseJson,
  processIdentity,
  TaskError,
} from '@k8s-deployment/runner';
import { fileDigest } from '../../ground/files.ts';
import { ifThere, textIfThere } from '../../ground/if-there.ts';
import type { EnvironmentContext, Outcome } from '../../settings/context.ts';
import { writeWhole } from '../../settings/environment.ts';

/** A process that outlives its run. */
export type ServiceRecord = ProcessIdentity & {
  readonly name: string;
  /** The state folder it was started for; older versions did not record it. */
  readonly state?: string;
  /** SHA-256 (hexadecimal) of its configuration, if a change requires a restart. */
  readonly digest?: string | undefined;
  /** Digest of the certificate that it has loaded: a killed run may have renewed it without telling the server. */
  readonly certificate?: string | undefined;
};

type Digests = Pick<ServiceRecord, 'digest' | 'certificate'>;

const folder = (state: string): string => join(state, 'services');

export const serviceLog = (state: string, name: string): string => join(state, 'logs', `${name}.log`);

/**
 * All recorded services that were not stopped, running or dead. Those of the clone that this one was copied from are
 * left out.
 */
export async function readServices(state: string): Promise<ServiceRecord[]> {
  const files = (await ifThere(readdir(folder(state)))) ?? [];
  const reading = files.map(async (file) => {
    if (!file.endsWith('.json')) return undefined;
    // Another run may have just removed it.
    const text = (await textIfThere(join(folder(state), file))) ?? '';
    const record = parseJson(text) as ServiceRecord | null | undefined;
    // Of an incomplete file after a crash, the process is found as a stray if it runs.
    if (!record || !Number.isInteger(record.pid)) return undefined;
    return (await isSameFolder(record.state ?? state, state)) ? record : undefined;
  });
  return (await Promise.all(reading)).filter((record) => record !== undefined);
}

/** True if `recorded` is this folder under another path, or was moved here. */
async function isSameFolder(recorded: string, state: string): Promise<boolean> {
  if (recorded === state) return true;
  const [former, own] = await Promise.all([ifThere(stat(recorded)), ifThere(stat(state))]);
  return former === undefined || (former.dev === own?.dev && former.ino === own.ino);
}

/** Recorded services that are running. */
export async function livingServices(state: string): Promise<ServiceRecord[]> {
  const records = await readServices(state);
  const living = await Promise.all(records.map(isSameProcess));
  return records.filter((_, index) => living[index]);
}

/** Records a running process, possibly started by kwokctl. Returns undefined if it has ended. */
export async function recordService(
  state: string,
  name: string,
  pid: number,
  digests: Digests = {},
): Promise<ServiceRecord | undefined> {
  const identity = await processIdentity(pid);
  if (identity === undefined) return undefined;
  const record = { name, ...identity, state, ...digests };
  await writeRecord(state, record);
  return record;
}

const writeRecord = (state: string, record: ServiceRecord): Promise<void> =>
  writeWhole(join(folder(state), `${record.name}.json`), `${JSON.stringify(record)}\n`);

export const certificateDigest = (file: string): Promise<string> => fileDigest('/', [file]);

/** Makes a running service load its certificate and key again (SIGHUP), unless it loaded this one. */
export async function loadRenewed(state: string, name: string, file: string): Promise<Outcome> {
  const certificate = await certificateDigest(file);
  const running = (await livingServices(state)).find((record) => record.name === name);
  if (running === undefined || running.certificate === certificate) return 'unchanged';
  process.kill(running.pid, 'SIGHUP');
  await writeRecord(state, { ...running, certificate });
  return 'changed';
}

/** Starts a service in its own process group and logs its output. Throws `TaskError` if it does not start. */
export async function startService(
  state: string,
  name: string,
  [program = '', ...words]: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
  digests: Digests = {},
): Promise<ServiceRecord> {
  const log = serviceLog(state, name);
  await mkdir(join(state, 'logs'), { recursive: true, mode: 0o700 });
  const output = openSync(log, 'a', 0o600);
  try {
    const child = spawn(program, words, { ...options, detached: true, stdio: ['ignore', output, output] });
    await once(child, 'spawn');
    child.unref();
    const record = await recordService(state, name, child.pid as number, digests);
    if (record) return record;
    throw await startError(state, name, ended);
  } catch (error) {
    if (error instanceof TaskError) throw error;
    throw new TaskError({
      what: `${name} could not be started`,
      why: (error as Error).message,
      advice: `see ${log}`,
    });
  } finally {
    closeSync(output);
  }
}

/** Before its start: logs that a service that ran before lost its data in this folder, and how they come back. */
export async function tellLostData(
  { environment: { name, state }, log }: Pick<EnvironmentContext, 'environment' | 'log'>,
  service: string,
  folder: string,
  advice: string,
): Promise<void> {
  const found = (await ifThere(readdir(join(state, folder)))) ?? [];
  if (found.length > 0 || !existsSync(serviceLog(state, service))) return;
  log(`.state/${name}/${folder} is missing: ${service} starts without data; ${advice}`);
}

/** The last line of a service's log. */
export async function lastLogLine(state: string, name: string): Promise<string> {
  const text = await readFile(serviceLog(state, name), 'utf8').catch(() => '');
  return text.trimEnd().split('\n').at(-1) ?? '';
}

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name);
  } catch (error) {
    // Already ended.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
    throw new TaskError({
      what: `process ${pid} could not be stopped`,
      why: (error as Error).message,
      advice: 'it belongs to another user: run as that user, or stop it as root',
      cause: error,
    });
  }
};

/** Stopped last, in this order: an API server without its etcd does not end. */
const lastToStop = ['kube-apiserver', 'etcd'];

/**
 * Stops services: TERM (PostgreSQL: INT, its "fast" shutdown), then KILL after `graceMs`. Removes their records;
 * ignores a process that reuses the pid.
 */
export async function stopServices(
  state: string,
  records: readonly ServiceRecord[],
  graceMs = 10_000,
): Promise<void> {
  const stageOf = ({ name }: ServiceRecord): number => lastToStop.findIndex((last) => name.startsWith(last));
  for (const stage of [-1, ...lastToStop.keys()]) {
    const stopped = records.filter((record) => stageOf(record) === stage);
    await Promise.all(stopped.map((record) => stopService(state, record, graceMs)));
  }
}

async function stopService(state: string, record: ServiceRecord, graceMs: number): Promise<void> {
  if (await isSameProcess(record)) {
    signal(record.pid, record.name.startsWith('postgres') ? 'SIGINT' : 'SIGTERM');
    const deadline = Date.now() + graceMs;
    while ((await isSameProcess(record)) && Date.now() < deadline) await delay(50);
    if (await isSameProcess(record)) {
      // PostgreSQL's children have their own groups and hold its memory until they notice its end.
      const family = [record, ...(await childrenOf(record.pid))];
      for (const { pid } of family) signal(pid, 'SIGKILL');
      for (const member of family) while (await isSameProcess(member)) await delay(20);
    }
  }
  await rm(join(folder(state), `${record.name}.json`), { force: true });
}

const ended = 'ended while starting';

async function startError(state: string, name: string, what: string): Promise<TaskError> {
  return new TaskError({
    what: `${name} ${what}`,
    why: (await lastLogLine(state, name)) || 'its log is empty',
    advice: `see ${serviceLog(state, name)}, then run again`,
  });
}

/**
 * Waits until a started service answers; `ready` may reject before. Throws `TaskError` with the end of its log if it
 * ends, or takes longer than `timeoutMs` milliseconds.
 */
export async function waitForService(
  { environment, signal }: { readonly environment: { readonly state: string }; readonly signal: AbortSignal },
  name: string,
  ready: () => Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const { state } = environment;
  const record = (await readServices(state)).find((known) => known.name === name);
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    signal.throwIfAborted();
    if (await ready().catch(() => false)) return;
    if (record === undefined || !(await isSameProcess(record))) throw await startError(state, name, ended);
    if (Date.now() > deadline)
      throw await startError(state, name, `was not ready after ${timeoutMs / 1000} s`);
    await delay(50);
  }
}
