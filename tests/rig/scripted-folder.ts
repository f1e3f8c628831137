import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import type { ProviderName } from '../../lib/cluster/providers.ts';
import { merge, type Tree } from '../../lib/ground/tree.ts';
import type { Settings, Target } from '../../lib/settings/context.ts';
import { copyOf } from './project-copy.ts';
import { type RecordedContext, settledContext } from './task-context.ts';

/** The version output of each tool, so that it is accepted. */
const versions: { readonly [tool: string]: string } = {
  kubectl: 'Client Version: v1.31.0',
  minikube: 'v1.38.1',
  helmfile: 'helmfile version 1.8.0',
  sops: 'sops 3.13.2',
};

export type CloneContext = RecordedContext & Target;

/** Shell code that prints a value as JSON. */
export const printing = (value: unknown): string =>
  `printf '%s\\n' '${JSON.stringify(value).replaceAll("'", "'\\''")}'`;

export const listing = (...items: readonly object[]): string => printing({ items });

/** A revision as helm keeps it: gzipped JSON, in base64, in the base64 of a Secret. */
export function helmRecord(id: string, status: string, content: object = {}, version = 1) {
  const [namespace, name] = id.split('/');
  const packed = gzipSync(JSON.stringify({ manifest: '', info: {}, ...content })).toString('base64');
  const labels = { name, status, version: String(version), owner: 'helm' };
  return {
    metadata: { name: `sh.helm.release.v1.${name}.v${version}`, namespace, labels },
    data: { release: Buffer.from(packed).toString('base64') },
  };
}

/** Shell code of a port-forward that leads to this port of loopback. */
export const forwarding = (port: number | string): string =>
  `echo "Forwarding from 127.0.0.1:${port} -> 1"; exec sleep 1000`;

/** Shell code by words of the command line; `*` between them stands for any, and `|` for "or". The first one counts. */
type Answers = { readonly [words: string]: string };

function casesOf(answers: Answers): string {
  const pattern = (words: string): string => `*${words.replaceAll(/[^*]+/g, '"$&"')}*`;
  const cases = Object.entries(answers).map(
    ([words, body]) => `${words.split('|').map(pattern).join('|')}) ${body};;`,
  );
  return `case "$*" in\n${cases.join('\n')}\nesac`;
}

/**
 * Some files of the project, and tools played by scripts. From now on PATH has only these tools and the system's own
 * programs, and nothing of a user's.
 */
export function scriptedFolder(...entries: readonly string[]) {
  const copy = copyOf(...entries);
  const base = dirname(copy.folder);
  const bin = join(base, 'bin');
  const log = join(base, 'calls');
  mkdirSync(bin);
  writeFileSync(log, '');
  process.env.PATH = [bin, '/usr/bin', '/bin'].join(delimiter);
  process.env.XDG_CACHE_HOME = join(base, 'cache');
  process.env.CALLS = log;
  return {
    ...copy,
    /** Plays a tool: a shell script that is called instead, and answers with output and exit code. */
    script: (tool: string, answers: string | Answers): void => {
      const body = typeof answers === 'string' ? answers : casesOf(answers);
      const version = `case "$*" in version\\ --client|version\\ --short|--version*) echo '${versions[tool] ?? ''}'; exit 0;; esac`;
      const text = `#!/bin/sh\nCALLS='${log}'\n${version}\necho "${tool} $*" >> "$CALLS"\n${body}\n`;
      // Renamed, since the system refuses to write to a script that is just being started.
      writeFileSync(join(base, tool), text, { mode: 0o755 });
      renameSync(join(base, tool), join(bin, tool));
    },
    /** The system's own program again. */
    unscript: (tool: string): void => rmSync(join(bin, tool)),
    /** Calls of the scripts as `tool words`, in order, without version calls; only those with such words. */
    calls: (words: RegExp | string = ''): string[] => {
      const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1);
      return lines.filter((line) => line.search(words) >= 0);
    },
    forget: (): void => writeFileSync(log, ''),
    /** Of environment `development`. */
    context: (provider: ProviderName): Promise<CloneContext> =>
      settledContext({ provider, context: 'some-context' }, copy.folder),
  };
}

/** Of the test that runs, see `scriptedSuite`. */
export let context: CloneContext;

type Change<T> = T extends readonly unknown[] | string ? T : { readonly [K in keyof T]?: Change<T[K]> };

/** Of the test that runs, or another one, with some settings replaced; maps are merged. */
export const withSettings = (change: Change<Settings>, of: CloneContext = context): CloneContext => ({
  ...of,
  settings: merge(of.settings, change as Tree) as Settings,
});

/**
 * A suite with a scripted folder. Each test begins with a new `context`, its state folder and no calls, and ends with
 * the files as they were.
 */
export function scriptedSuite(name: string, provider: ProviderName, ...entries: readonly string[]) {
  const project = scriptedFolder(...entries);
  const test = suite(name);
  test.before.each(async () => {
    context = await project.context(provider);
    mkdirSync(context.environment.state, { recursive: true });
    project.forget();
  });
  test.after.each(project.reset);
  return { test, project };
}
