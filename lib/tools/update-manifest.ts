import { readFile, writeFile } from 'node:fs/promises';
import type { Document, Scalar, YAMLMap } from 'yaml';
import { npmEnvironment, passedOn } from '../ground/variables.ts';
import { currentPins } from './image.ts';
import { type Manifest, manifestFile, manifestOf } from './manifest.ts';
import { pinnedPlatforms } from './mise.ts';
import { reasonOf } from './registry/call.ts';
import { lastWords, type ToolContext, withProgress } from './tool-context.ts';
import { otherChecksum } from './update-pins.ts';

type Pin = { readonly path: readonly string[]; readonly value: string };

/**
 * Adds missing checksums to the manifest (mise's packages, images) and returns a line for each that is still missing.
 * If a publisher's differs from the pinned one, throws `TaskError` and writes nothing.
 */
export async function updateManifest(context: ToolContext, file = manifestFile): Promise<string[]> {
  const { parseDocument } = await import('yaml');
  let text = await readFile(file, 'utf8');
  const document = parseDocument(text, { merge: true });
  const manifest = manifestOf(document.toJS());
  const missing: string[] = [];
  const asking = Promise.all([misePins(manifest, context, missing), imagePins(manifest, context, missing)]);
  const pins = (await withProgress(context, 'asking for checksums', asking)).flat();
  const changed = pins.filter(
    ({ path, value }) => ![undefined, value].includes(document.getIn(path) as string),
  );
  if (changed.length > 0) {
    const lines = changed.map(({ path, value }) => `${path.join('.')}: ${value}`);
    throw otherChecksum(lines, 'lib/tools/manifest.yaml', 'the pinned one');
  }
  const fresh = pins.filter(({ path }) => !document.hasIn(path));
  for (const { path, value } of fresh)
    text = withLine(text, parseDocument(text, { merge: true }), path, value);
  if (fresh.length > 0) await writeFile(file, text);
  return missing;
}

/** The text with one more pair at the start of a map, otherwise unchanged. */
function withLine(text: string, document: Document, path: readonly string[], value: string): string {
  const map = document.getIn(path.slice(0, -1), true) as YAMLMap<Scalar>;
  const start = map.items[0]?.key.range?.[0] ?? 0;
  const indent = text.slice(text.lastIndexOf('\n', start) + 1, start);
  return `${text.slice(0, start)}${path.at(-1)}: ${value}\n${indent}${text.slice(start)}`;
}

async function misePins({ mise }: Manifest, context: ToolContext, missing: string[]): Promise<Pin[]> {
  const $ = context.$({ env: npmEnvironment(passedOn(process.env)), quiet: true, nothrow: true });
  const pins: Pin[] = [];
  for (const platform of Object.keys(pinnedPlatforms)) {
    const wanted = `${mise.package.replace('{platform}', platform)}@${mise.version}`;
    const npm = await $`npm view --loglevel=error --fetch-retries=0 ${wanted} dist.integrity`;
    const value = npm.stdout.trim();
    if (npm.exitCode === 0 && value !== '') pins.push({ path: ['mise', 'integrity', platform], value });
    else missing.push(`mise ${mise.version} on ${platform}: ${lastWords(npm.stderr)}`);
  }
  return pins;
}

async function imagePins({ tools }: Manifest, context: ToolContext, missing: string[]): Promise<Pin[]> {
  const pins: Pin[] = [];
  for (const [name, { image }] of Object.entries(tools)) {
    if (image === undefined) continue;
    try {
      const { digest, sha256 } = await currentPins(image, context.signal);
      pins.push({ path: ['tools', name, 'image', 'digest'], value: digest });
      pins.push({ path: ['tools', name, 'image', 'archive', 'sha256'], value: sha256 });
    } catch (error) {
      missing.push(`${name} ${image.tag} in its image: ${reasonOf(error as Error)}`);
    }
  }
  return pins;
}
