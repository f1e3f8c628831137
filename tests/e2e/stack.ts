import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { poll } from '../../lib/ground/poll.ts';
import { root } from '../../lib/ground/project.ts';
import { loadSettings } from '../../lib/settings/settings.ts';
import { toolEnvironment } from '../../lib/tools/tools.ts';
import type { KubernetesObject } from '../charts/render.ts';
import { makeSandbox, readText } from '../integration/sandbox.ts';
import { callIn, outputOf } from '../rig/programs.ts';

/** Target of the tests; tests/run.ts reads it from the command line. */
export const context = process.env.TEST_CONTEXT ?? '';
export const environment = process.env.TEST_ENVIRONMENT || 'lab';

/** The deployed environment, as a user and as an administrator of the cluster see it. */
export type Stack = Awaited<ReturnType<typeof openStack>>;

/** One clone per context and environment, so that the next run can continue with a kept deployment. */
const place = join(tmpdir(), `kd-e2e-${context}-${environment}`.replace(/[^\w.-]/g, '_'));

/** A clone of the project that uses the cluster of the context. An existing deployment is kept. */
export async function openStack() {
  await mkdir(place, { recursive: true, mode: 0o700 });
  const sandbox = await makeSandbox('', place);
  const userConfig = process.env.KUBECONFIG ?? join(homedir(), '.kube', 'config');
  Object.assign(sandbox.env, {
    ...{ ENVIRONMENT: environment, CLUSTER_PROVIDER: 'existing', CLUSTER_CONTEXT: context },
    KUBECONFIG: userConfig,
  });
  await sandbox.succeeds('install-tools');
  const PATH = await toolEnvironment();
  const further = sandbox.path('environments', environment, 'zz-further.yaml');

  const env = { ...sandbox.env, PATH, KUBECONFIG: sandbox.path('.state', environment, 'kubeconfig') };
  const inClone = { folder: sandbox.folder, env };
  const inContext = (args: readonly string[]) => ['--context', context, ...args];
  /** stdout of kubectl. Throws with its error when it fails. */
  const kubectl = (args: readonly string[], stdin?: string) =>
    outputOf(inClone, 'kubectl', inContext(args), stdin);
  const get = async (...args: readonly string[]): Promise<KubernetesObject> =>
    JSON.parse(await kubectl(['get', ...args, '-o', 'json']));
  async function withSettings<Result>(settings: object, run: () => Promise<Result>): Promise<Result> {
    await writeFile(further, stringify(settings));
    return run().finally(() => rm(further));
  }
  /** Runs with this timeout in seconds for every release, instead of those in helmfile.yaml. */
  async function impatiently<Result>(seconds: number, run: () => Promise<Result>): Promise<Result> {
    const file = sandbox.path('helmfile.yaml');
    const text = await readText(file);
    await writeFile(file, text.replace(/^( +timeout:) \d+$/gm, `$1 ${seconds}`));
    return run().finally(() => writeFile(file, text));
  }
  return {
    ...sandbox,
    ...{ kubectl, get, withSettings, impatiently },
    settings: await loadSettings({ name: environment, provider: 'existing', root }),
    taskWith: (settings: object, ...words: readonly string[]) =>
      withSettings(settings, () => sandbox.task(...words)),
    tryKubectl: (args: readonly string[], stdin?: string) =>
      callIn(inClone, 'kubectl', inContext(args), stdin),
    /** Like kubectl, with the user's kubeconfig; works without the environment. */
    user: (args: readonly string[], stdin?: string) =>
      outputOf({ ...inClone, env: { ...env, KUBECONFIG: userConfig } }, 'kubectl', inContext(args), stdin),
    list: async (...args: readonly string[]): Promise<KubernetesObject[]> => (await get(...args)).items,
    helm: (...args: readonly string[]) => outputOf(inClone, 'helm', ['--kube-context', context, ...args]),
    /** Names of the files with explanations of failures, oldest first. */
    diagnostics: async (): Promise<string[]> => {
      const folder = sandbox.path('.state', environment, 'diagnostics');
      const names = await readdir(folder).catch(() => []);
      return names.sort().map((name) => join(folder, name));
    },
    authority: () => readText(sandbox.path('.state', environment, 'certificates', 'ca.crt')),
    /** The value of a Secret in the namespace backend. */
    secret: async (name: string, key: string): Promise<string> => {
      const { data } = await get('secret', '-n', 'backend', name);
      return Buffer.from(data[key], 'base64').toString();
    },
    /** Moves all pods of a node elsewhere, except those of the tests. */
    drain: (node: string, seconds: number) => {
      const options = ['--ignore-daemonsets', '--delete-emptydir-data', '--force', `--timeout=${seconds}s`];
      return kubectl(['drain', node, ...options, '--pod-selector=!k8s-deployment/e2e']);
    },
  };
}

/** Waits until `look` returns a value. Throws after `seconds` and names what was awaited. */
export async function until<Result>(
  what: string,
  seconds: number,
  look: () => Promise<Result | undefined | false>,
): Promise<Result> {
  const found = await poll(async () => (await look()) || undefined, seconds * 1000);
  if (found) return found;
  throw new Error(`${what}: not within ${seconds} s`);
}
