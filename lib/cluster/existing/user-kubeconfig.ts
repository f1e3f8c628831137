import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { reasonIn, TaskError, UsageError } from '@k8s-deployment/runner';
import { shellWord, shellWords } from '../../ground/shell-words.ts';
import { kubectl } from '../../kubernetes/kubectl.ts';
import type { Environment, EnvironmentContext } from '../../settings/context.ts';
import { processEnvironment, writeWhole } from '../../settings/environment.ts';
import { reasonOf } from '../../tools/tool-answer.ts';

type KubeContext = Pick<EnvironmentContext, '$' | 'log' | 'environment'>;

/** The fields of a kubeconfig with one context that are used here. */
type Kubeconfig = {
  clusters?: { cluster?: { server?: string } }[];
  users?: { user?: { tokenFile?: string; exec?: Plugin } }[];
};

/** A credential plugin of kubectl. */
type Plugin = { command?: string; readonly interactiveMode?: string };

/**
 * Copies the context and its credentials to the environment's kubeconfig, whatever the user's current context; never
 * changes the user's file. Later calls copy changes such as a new token, unless the context points to another server.
 * Keeps the copy if the context disappears. Throws `UsageError` if there is neither.
 */
export async function connectExisting(context: KubeContext): Promise<void> {
  const { environment } = context;
  const copy = await readFile(environment.kubeconfig, 'utf8').catch(() => undefined);
  const reading = userContext(context);
  if (copy === undefined) return writeWhole(environment.kubeconfig, (await reading).text);
  const own = await reading.catch(failureOf);
  if (own instanceof TaskError || own.text === copy) return;
  const server = await serverOf(copy);
  if (server !== own.server && server !== '')
    return context.log(`${movedText(environment, own.server)}: the environment stays with ${server}`);
  await writeWhole(environment.kubeconfig, own.text);
  context.log(`updated the copy of context \`${environment.context}\` from your kubeconfig`);
}

/** The error as a value, if it is expected. */
export function failureOf(error: unknown): TaskError {
  if (error instanceof TaskError) return error;
  throw error;
}

/** `connectExisting` as a plain command. */
export const connectCommand = ({ name, context }: Environment): string =>
  `(umask 077; mkdir -p .state/${name}; kubectl config view --minify --flatten --raw --context ${shellWord(context)} > .state/${name}/kubeconfig)`;

const movedText = ({ context }: Environment, server: string): string =>
  `context \`${context}\` of your kubeconfig leads to another server, ${server}`;

/** Throws `TaskError` with kubectl's reason unless the API server answers within 15 s, and its plugin within 20 s. */
export async function checkReachable(context: KubeContext): Promise<void> {
  const { environment } = context;
  const $ = context.$({ quiet: true, nothrow: true, timeoutMs: 20_000 });
  const ready = await $`${kubectl(environment)} get --raw /readyz --request-timeout 15s`;
  if (ready.exitCode === 0) return;
  throw new TaskError({
    what: `the cluster of context \`${environment.context}\` does not answer`,
    why: connectionReason(ready.stderr) ?? reasonOf(ready),
    advice: await connectionAdvice(context, ready.stderr),
  });
}

/**
 * kubectl's reason, with the last words of a plugin that failed; general hints follow it, and kubectl's own log precedes
 * it.
 */
function connectionReason(said: string): string | undefined {
  const lines = said.split('\n').filter((line) => line !== '' && !/^[EWI]\d{4} /.test(line));
  const place = lines.findIndex((line) => line.startsWith('Unable to connect to the server: '));
  const plugin = /failed with exit code \d+$/.test(lines[place] ?? '') ? lines[place - 1] : undefined;
  return [plugin, lines[place]].filter(Boolean).join('; ') || undefined;
}

/** Advice if the cluster does not answer with the environment's copy; `said` is kubectl's stderr. */
export async function connectionAdvice(context: KubeContext, said: string): Promise<string> {
  const { environment } = context;
  const own = await userContext(context).catch(failureOf);
  if (own instanceof TaskError)
    return `credentials come from your kubeconfig, but: ${own.what}; restore it there, then run again`;
  const copy = `.state/${environment.name}/kubeconfig`;
  const server = await serverOf(await readFile(environment.kubeconfig, 'utf8').catch(() => ''));
  if (server !== own.server)
    return `${movedText(environment, own.server)}; if it is the same cluster, or nothing was installed in ${server}, \`rm ${copy}\` and run again`;
  if (own.plugin?.interactiveMode === 'Always')
    return `\`${own.plugin.command}\` cannot ask you anything here: log in first, set its interactiveMode in your kubeconfig to IfAvailable or Never, and run again`;
  const works = `make this work, with a new login if needed, then run again: ${shellWords(['kubectl', '--context', environment.context, 'get', 'nodes'])}`;
  return own.plugin !== undefined && /failed with exit code|must be logged in/.test(said)
    ? `${works}\nif it works there, add the variables that \`${own.plugin.command}\` needs to environments/variables.json: programs get no others`
    : works;
}

/**
 * The environment's context from the user's kubeconfig. Throws `UsageError` if it has no such context, `TaskError` if
 * it cannot be read.
 */
async function userContext(context: KubeContext) {
  const { environment } = context;
  const files = userFiles(environment.root);
  const env = { ...(await processEnvironment(environment)), KUBECONFIG: files.join(delimiter) };
  const $ = context.$({ quiet: true, nothrow: true, env });
  const output =
    await $`kubectl config view --minify --flatten --raw --output json --context ${environment.context}`;
  const kubeconfig = output.exitCode === 0 ? await parsed(output.stdout) : undefined;
  const server = serverIn(kubeconfig);
  if (kubeconfig && server !== '')
    return {
      text: `${JSON.stringify(withWholePaths(kubeconfig, files), null, 2)}\n`,
      server,
      plugin: kubeconfig.users?.[0]?.user?.exec,
    };
  const otherwise = output.exitCode === 0 ? 'it names no server' : `kubectl ended with ${output.exitCode}`;
  const reason = reasonIn(output.stderr) ?? otherwise;
  const place = `your kubeconfig (${files.join(', ')})`;
  if (!reason.includes('cannot locate context'))
    throw new TaskError({
      what: `${place} does not give the context \`${environment.context}\``,
      why: reason,
      advice: `make this work first: ${shellWords(['kubectl', 'config', 'view', '--minify', '--context', environment.context])}`,
    });
  const known = await $`kubectl config get-contexts -o name`;
  throw new UsageError({
    what: `unknown kube context \`${environment.context}\``,
    why: `${place} has: ${known.stdout.trim().split('\n').join(', ') || 'none'}`,
    advice: 'name one with --context, CLUSTER_CONTEXT or the setting cluster.context',
  });
}

/**
 * The user's kubeconfig files, from KUBECONFIG or by default. Skips the copies, which `./run env` puts into KUBECONFIG.
 */
function userFiles(root: string): string[] {
  const named = (process.env.KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '');
  const own = named.filter((file) => !resolve(file).startsWith(join(root, '.state') + sep));
  return own.length > 0 ? own : [join(homedir(), '.kube', 'config')];
}

/** Makes paths of token files and plugins absolute, as kubectl's copy keeps them relative to the original. */
function withWholePaths(kubeconfig: Kubeconfig, files: readonly string[]): Kubeconfig {
  const whole = (path: string): string => {
    const places = files.map((file) => resolve(dirname(file), path));
    return isAbsolute(path) ? path : (places.find((place) => existsSync(place)) ?? places[0] ?? path);
  };
  for (const { user } of kubeconfig.users ?? []) {
    if (user?.tokenFile) user.tokenFile = whole(user.tokenFile);
    // Without a slash, PATH is searched.
    if (user?.exec?.command?.includes('/')) user.exec.command = whole(user.exec.command);
  }
  return kubeconfig;
}

const serverIn = (kubeconfig: Kubeconfig | undefined): string =>
  kubeconfig?.clusters?.[0]?.cluster?.server ?? '';

/** The server of a copy; empty if it is damaged or has none. */
const serverOf = async (copy: string): Promise<string> => serverIn(await parsed(copy));

/** A kubeconfig in YAML or JSON; undefined if it is damaged. */
async function parsed(text: string): Promise<Kubeconfig | undefined> {
  const { parse } = await import('yaml');
  try {
    return parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}
