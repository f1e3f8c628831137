import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { tellDrift } from '../helm/drift.ts';
import { renderingFailure } from '../helm/failure.ts';
import { hasPlugin } from '../helm/helm.ts';
import { callHelmfile, type Release, type Selection, selector, selectReleases } from '../helm/helmfile.ts';
import { type AppliedObject, manifestObjects } from '../helm/live-objects.ts';
import { deployedReleases } from '../helm/releases.ts';
import { render } from '../helm/rendered.ts';
import { adviceFor } from '../kubernetes/advice.ts';
import { kubectl, listOf } from '../kubernetes/kubectl.ts';
import type { Context, ShellContext } from '../settings/context.ts';
import { reasonOf } from '../tools/tool-answer.ts';

/**
 * Prints what an install would change, and manual changes since the last one. Uses `helmfile diff` if helm has the
 * plugin `diff`; otherwise `kubectl diff --server-side` on the rendered objects. Both hide secret values.
 */
export async function diff(context: Context, selection: Selection): Promise<void> {
  const deployed = await deployedReleases(context, ({ message, advice }) =>
    context.print(`${message}; ${advice}`),
  );
  const usesPlugin = await hasPlugin(context, 'diff');
  const wanted = { ...selection, withNeeds: !usesPlugin };
  const { installed: releases, leftOut } = await selectReleases(context, wanted);
  for (const { id, name } of leftOut)
    if (deployed.has(id))
      context.print(`${name}: would be removed, since releases.${name}.installed is false`);
  if (releases.length === 0) return;
  const drifts = await tellDrift(context, releases, deployed, context.print);
  if (usesPlugin) return diffByPlugin(context, selection, releases);
  const rendered = await render(context, releases);
  const parsed = await Promise.all(
    releases.map(async (release) => {
      const objects = await objectsOf(rendered.get(release.name) ?? [], release);
      const drift = drifts.get(release.name);
      const removed = drift?.leftOutOf(objects) ?? [];
      return { release, removed, objects: objects.map(drift?.asKept ?? ((same) => same)) };
    }),
  );
  const known = parsed.filter(({ release }) => deployed.has(release.id));
  const differences = await compare(context, known);
  for (const { release, objects, removed } of parsed) {
    const { id, name } = release;
    const text = differences.get(name);
    const lines = [...listed('-', removed), ...(text === undefined ? [] : [text])];
    if (!deployed.has(id)) context.print([`${name}: would be installed`, ...listed('+', objects)].join('\n'));
    else context.print(lines.length === 0 ? `${name}: no difference` : `${name}:\n${lines.join('\n')}`);
  }
  const unknown = differences.get('');
  if (unknown !== undefined) context.print(unknown);
}

async function diffByPlugin(context: Context, selection: Selection, releases: readonly Release[]) {
  const words = [...selector(selection), 'diff', '--suppress-secrets', ...context.passThrough];
  const output = await callHelmfile(context, words, renderingFailure(context, releases, 'comparing'));
  context.print(output.stdout.trimEnd() || 'no difference');
}

/** Objects in rendered files, except hooks, which every install recreates. */
async function objectsOf(texts: readonly string[], release: Release): Promise<AppliedObject[]> {
  const objects = (await Promise.all(texts.map((text) => manifestObjects(text, release)))).flat();
  return objects.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === undefined);
}

type Parsed = {
  readonly release: Pick<Release, 'name'>;
  readonly objects: readonly Pick<AppliedObject, 'apiVersion' | 'kind' | 'metadata'>[];
};

/**
 * The differences of the releases that have some, by name, with a line for each object that the server refuses to
 * change. One call for all: each call reads the API's types first.
 */
export async function compare(
  { $, environment }: ShellContext,
  known: readonly Parsed[],
): Promise<ReadonlyMap<string, string>> {
  const items = known.flatMap(({ objects }) => objects);
  if (items.length === 0) return new Map();
  const words = ['diff', '--server-side', '--force-conflicts', '--field-manager', 'helm', '-f', '-'];
  const output = await $({
    quiet: true,
    nothrow: true,
    input: listOf(items),
  })`${kubectl(environment)} ${words}`;
  // kubectl exits with 0 for no difference and 1 for printed ones; higher is an error.
  const text = output.stdout.trimEnd();
  if (output.exitCode === 0) return new Map();
  if (output.exitCode === 1 && text !== '') return byRelease(text, known);
  const refused = refusals(output.stderr, known);
  if (refused.length > 0) {
    const isLeft = (one: object): boolean => refused.every(({ object }) => object !== one);
    const rest = known.map(({ release, objects }) => ({ release, objects: objects.filter(isLeft) }));
    const found = new Map(await compare({ $, environment }, rest));
    for (const { name, line } of refused) found.set(name, [line, found.get(name) ?? ''].join('\n').trimEnd());
    return found;
  }
  const why = reasonOf(output);
  const [only] = known.length === 1 ? known : [];
  throw new TaskError({
    what: `comparing ${only?.release.name ?? 'the releases'} failed`,
    why,
    advice: adviceFor(why) ?? `check the cluster with ${taskCommand('status')}`,
  });
}

/**
 * The objects that the server refuses to change, each with a line. kubectl names them all, without a namespace, or
 * only the type if the server does not have it.
 */
function refusals(stderr: string, known: readonly Parsed[]) {
  const found = stderr.matchAll(
    /^(?:The |Error from server \(Invalid\): )(\w+)\S* "([^"]+)" is invalid:[\s[*]+(.*)/gm,
  );
  const types = stderr.matchAll(/no matches for kind "(\w+)" in version "([^"]+)"/g);
  const reasons = new Map([...found].map(([, kind, name, why]) => [`${kind} ${name}`, why]));
  for (const [why, kind, version] of types) reasons.set(`${kind} ${version}`, why);
  return known.flatMap(({ release, objects }) =>
    objects.flatMap((object) => {
      const { kind, metadata } = object;
      const place = `${kind} ${metadata.name}`;
      const why = reasons.get(place) ?? reasons.get(`${kind} ${object.apiVersion}`);
      if (why === undefined) return [];
      // Named as helm does, for advice with its namespace.
      const named = `object ${metadata.namespace}/${metadata.name} ${kind}: ${kind} "${metadata.name}" is invalid: ${why}`;
      const line = `! ${place}: the cluster refuses the change; ${adviceFor(named) ?? why}`;
      return [{ name: release.name, object, line }];
    }),
  );
}

/**
 * Splits what `kubectl diff` prints. It compares two folders, LIVE-… and MERGED-…, with a file for each object, named
 * group.version.kind.namespace.name, without a namespace for a cluster-scoped one. What belongs to no release is at ''.
 * Leaves out diff's command lines and the path of the folders.
 */
function byRelease(text: string, known: readonly Parsed[]): ReadonlyMap<string, string> {
  const owners = new Map(
    known.flatMap(({ release, objects }) =>
      objects.flatMap(({ apiVersion, kind, metadata: { namespace, name } }) =>
        [namespace, ''].map((place) => {
          const file = [...apiVersion.split('/'), kind, place, name].join('.');
          return [file, release.name] as const;
        }),
      ),
    ),
  );
  const found = new Map<string, string>();
  // diff(1) begins each file with its own command line; that of BusyBox with the names.
  for (const part of text.split(/^(?=diff .*\/LIVE-|(?<!^diff .*\n)--- .*\/LIVE-)/m)) {
    const file = /^--- .*\/LIVE-\w+\/([^\s"]+)/m.exec(part)?.[1] ?? '';
    const name = owners.get(file) ?? '';
    found.set(name, (found.get(name) ?? '') + part);
  }
  const short = (part: string): string =>
    part
      .replace(/^diff .*\n/gm, '')
      .replace(/^(---|\+\+\+) .*\/(LIVE|MERGED)-\w+\/([^\s"]+).*$/gm, '$1 $2/$3')
      .trimEnd();
  return new Map([...found].map(([name, part]) => [name, short(part)]));
}

const listed = (sign: string, objects: readonly AppliedObject[]): readonly string[] =>
  objects.map(({ kind, metadata }) => `${sign} ${kind} ${metadata.name}`);
