import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { checkPasswords, takePasswords } from '../database/check-passwords.ts';
import { taskCommand } from '../ground/launcher.ts';
import { kubectlList } from '../kubernetes/kubectl.ts';
import { TaskError } from '../runner/runner.ts';
import { secretFailure } from '../secrets/sops.ts';
import type { Context, ShellContext } from '../settings/context.ts';
import { renderingFailure } from './failure.ts';
import { helmfile, type Release } from './helmfile.ts';
import { recallRendered, rememberRendered } from './render-memory.ts';

/** The newest revision of a release in the cluster. */
export type DeployedRelease = {
  readonly name: string;
  readonly namespace: string;
  /** helm's word: deployed, failed, pending-install, pending-upgrade, pending-rollback, uninstalling, … */
  readonly status: string;
  readonly revision: number;
  /** When helm last touched it; an invalid date where it has not noted that. */
  readonly updated: Date;
  /** Digest of its manifests and hooks, comparable with `renderedDigests`. */
  readonly digest: string;
  /** What it consists of, without its hooks. */
  readonly manifest: string;
};

type Stored = {
  readonly manifest: string;
  readonly hooks?: readonly { readonly manifest: string }[];
  readonly info?: { readonly last_deployed?: string };
};

type SecretList = {
  readonly items: readonly {
    readonly metadata: {
      readonly name: string;
      readonly namespace: string;
      readonly labels: { readonly [key: string]: string };
    };
    readonly data?: { readonly release?: string };
  }[];
};

/**
 * What helm knows of the cluster, in one call instead of one `helm` per release: helm keeps each revision as a Secret
 * labelled `owner=helm` with the gzipped JSON of the release (helm: "Storage backends"). One that cannot be read is a failure; where
 * `unreadable` takes that, its release is given without content, and the others as they are.
 */
export async function deployedReleases(
  context: ShellContext,
  unreadable?: (error: TaskError) => void,
): Promise<readonly DeployedRelease[]> {
  const list = await kubectlList<SecretList>(
    context,
    'get',
    'secrets',
    '-A',
    '-l',
    'owner=helm,status!=superseded',
  );
  const newest = new Map<string, SecretList['items'][number]>();
  for (const item of list.items) {
    const key = `${item.metadata.namespace}/${item.metadata.labels.name}`;
    const other = newest.get(key);
    if (!other || version(item) > version(other)) newest.set(key, item);
  }
  return Promise.all(
    [...newest.values()].map(async (item) => {
      const stored = await unpack(item).catch((error: TaskError): Stored => {
        if (!unreadable) throw error;
        unreadable(error);
        return { manifest: '' };
      });
      return {
        name: item.metadata.labels.name ?? '',
        namespace: item.metadata.namespace,
        status: item.metadata.labels.status ?? 'unknown',
        revision: version(item),
        updated: new Date(stored.info?.last_deployed ?? ''),
        digest: digest([stored.manifest, ...(stored.hooks ?? []).map(({ manifest }) => manifest)]),
        manifest: stored.manifest,
      };
    }),
  );
}

/** What helm keeps in a Secret. Throws `TaskError` when it cannot be read: nothing can be said of the release then. */
async function unpack({ metadata, data }: SecretList['items'][number]): Promise<Stored> {
  try {
    const packed = Buffer.from(Buffer.from(data?.release ?? '', 'base64').toString(), 'base64');
    return JSON.parse((await promisify(gunzip)(packed)).toString()) as Stored;
  } catch (error) {
    throw new TaskError({
      what: `the Secret ${metadata.namespace}/${metadata.name}, in which helm keeps a release, cannot be read`,
      why: (error as Error).message,
      advice: `delete it (\`kubectl -n ${metadata.namespace} delete secret ${metadata.name}\`) and run again: helm then goes on from the revision before`,
      cause: error,
    });
  }
}

const version = (item: SecretList['items'][number]): number => Number(item.metadata.labels.version);

/**
 * Equal for the same objects, whatever their order and helm's comments. After the dot comes one that is also equal for other
 * replicas.
 */
function digest(texts: readonly string[]): string {
  const text = texts
    .flatMap((text) => text.split(/^---.*$/m))
    .map((text) =>
      text
        .split('\n')
        .filter((line) => !line.startsWith('#') && line.trim() !== '')
        .map((line) => line.trimEnd())
        .join('\n'),
    )
    .filter((text) => text !== '')
    .sort()
    .join('\n---\n');
  return [text, text.replaceAll(/^ *replicas: \d+$/gm, '')].map(sha256).join('.');
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Whether two digests differ at most by the number of replicas. */
export const sameBesideReplicas = (one: string, other: string): boolean =>
  one.split('.')[1] === other.split('.')[1];

/** Renders releases as an install would, into `folder`/<release>/. The files hold secrets: the caller removes them. */
export async function render(context: Context, releases: readonly Release[], folder: string): Promise<void> {
  const { $, environment } = context;
  if (takePasswords(releases)) await checkPasswords(context);
  const selectors = releases.flatMap(({ name }) => ['-l', `name=${name}`]);
  const template = [
    'template',
    '--output-dir',
    folder,
    '--output-dir-template',
    '{{ .OutputDir }}/{{ .Release.Name }}',
  ];
  const command = await helmfile(context, '--quiet', ...selectors, ...template);
  const running = $({ quiet: true })`${command}`;
  let said = '';
  running.stderr.on('data', (chunk) => {
    said += chunk;
  });
  await running.catch(async (error: unknown) => {
    const secret = await secretFailure(context, error);
    throw secret === error ? renderingFailure(error, said, releases, 'rendering', environment.name) : secret;
  });
  // helmfile makes a folder for each, also for one that renders nothing.
  const made = await readdir(folder);
  const missing = releases.filter(({ name }) => !made.includes(name)).map(({ name }) => name);
  if (missing.length === 0) return;
  throw new TaskError({
    what: `helmfile rendered nothing for ${missing.join(', ')}`,
    why: 'it ended with exit code 0, but wrote no files',
    advice: `check which \`helmfile\` is used (${taskCommand('verify-dependencies')}), then run again; nothing was changed`,
  });
}

/**
 * Digest by release of what an install would write now; `inputs` is the digest of what it would be made from. Rendered
 * secrets are on disk only meanwhile, for the user alone.
 */
export async function renderedDigests(
  context: Context,
  releases: readonly Release[],
  inputs: string,
): Promise<ReadonlyMap<string, string>> {
  const { environment } = context;
  const remembered = await recallRendered(environment, inputs);
  if (releases.every(({ name }) => remembered.has(name))) return remembered;
  const folder = await mkdtemp(join(environment.state, 'rendered-'));
  context.onRunEnd(() => rm(folder, { recursive: true, force: true }));
  try {
    await render(context, releases, folder);
    const digests = new Map<string, string>();
    for (const { name } of releases) {
      const files = await readdir(join(folder, name), { recursive: true, withFileTypes: true });
      const texts = files
        .filter((file) => file.isFile())
        .map((file) => readFile(join(file.parentPath ?? file.path, file.name), 'utf8'));
      digests.set(name, digest(await Promise.all(texts)));
    }
    await rememberRendered(environment, inputs, digests);
    return digests;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
