import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MissingToolError, type Share, TaskError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { onPlatform } from '../../../lib/runner/tests/rig/platform.ts';
import { platform } from '../../../lib/tools/cache.ts';
import { getTool, lookForTool } from '../../../lib/tools/get-tool.ts';
import { currentPins } from '../../../lib/tools/image.ts';
import type { ImageRecipe } from '../../../lib/tools/manifest.ts';
import { type PlayedRegistry, withRegistry } from './played-registry.ts';
import { builtTool, entryOf, inPlace, type Place, toolchain } from './tool-fixture.ts';

const tool = (image: ImageRecipe) => entryOf({ version: '1.2.3', path: false, image });

/** The same tool with a Go module as the next way. */
const withGo = (place: Place, image: ImageRecipe) => ({ ...builtTool(place), path: false as const, image });

function halfMade({ cache }: Place): string[] {
  return readdirSync(join(cache, 'temporary', platform));
}

/** What the log says of the image when Go is taken instead. */
async function insteadOf(
  change: (registry: PlayedRegistry) => ImageRecipe,
  architectures?: readonly string[],
): Promise<string> {
  let said = '';
  await withRegistry(
    (registry) =>
      inPlace(async (place) => {
        const entry = withGo(place, change(registry));
        assert.is((await getTool(entry, {}, place.context, toolchain)).source, 'go');
        assert.equal(halfMade(place), []);
        said = place.logged[0] ?? '';
      }),
    architectures,
  );
  return said;
}

test('a program is extracted from its image with its files, and then found', () =>
  withRegistry(({ recipe, asked }) =>
    inPlace(async (place) => {
      const told: string[] = [];
      const progress = (text: string, share?: Share) =>
        told.push(share === undefined || share.done < share.total ? text : `all of it: ${text}`);
      const found = await getTool(tool(recipe), {}, { ...place.context, progress });
      assert.is(told[0], 'downloading hammer 1.2.3');
      assert.is(told.at(-1), 'all of it: 0.0 of 0.0 MiB, downloading hammer 1.2.3');
      assert.is(found.source, 'image');
      assert.is(readFileSync(found.path, 'utf8'), '#!/bin/sh\necho hammer 1.2.3\n');
      assert.is(readFileSync(join(found.folder, 'crds', 'nail.yaml'), 'utf8'), 'kind: Nail');
      assert.is(readFileSync(join(found.folder, 'chart', 'Chart.yaml'), 'utf8'), 'name: hammer');
      assert.equal(readdirSync(found.folder).sort(), ['chart', 'crds', 'hammer', 'program']);
      assert.equal(halfMade(place), []);
      assert.ok(asked.includes('/token?service=played&scope=repository%3Asmith%2Fhammer%3Apull'));
      const requests = asked.length;
      assert.equal(await lookForTool(tool(recipe), {}), found);
      assert.is(asked.length, requests);
    }),
  ));

test('content with another checksum is an error at once: manifest, layer and archive', async () => {
  for (const wrong of [/manifests\/sha256/, /^\/[0-9a-f]{64}/, /hammer\.tgz/]) {
    await withRegistry(({ recipe, fault }) =>
      inPlace(async (place) => {
        fault.answer = (path) => (wrong.test(path) ? { body: Buffer.from('{"layers": []}') } : undefined);
        const error = await getTool(withGo(place, recipe), {}, place.context, toolchain).catch((it) => it);
        assert.instance(error, TaskError, String(wrong));
        assert.not.instance(error, MissingToolError);
        assert.match(error.what, /^http:\S+ has the wrong checksum and was not used$/);
        assert.not.match(error.what, 'key=');
        assert.equal(place.calls(), []);
        assert.equal(halfMade(place), []);
        assert.not.ok(existsSync(join(place.cache, 'tools', platform, 'hammer')));
      }),
    );
  }
});

test('if the image is not available, the reason is logged and Go is tried next', async () => {
  const answer =
    (pattern: RegExp, status: number) =>
    ({ recipe, fault }: PlayedRegistry): ImageRecipe => {
      fault.answer = (path) => (pattern.test(path) ? { status } : undefined);
      return recipe;
    };
  assert.match(
    await insteadOf(({ recipe }) => ({ ...recipe, program: 'anvil' })),
    /smith\/hammer has no program anvil/,
  );
  assert.match(
    await insteadOf(({ recipe }) => recipe, ['riscv64']),
    /has no image for linux\/(amd|arm)64; building/,
  );
  assert.match(
    await insteadOf(answer(/manifests/, 404)),
    /answered HTTP 404 for \/v2\/smith\/hammer\/manifests\/sha256:/,
  );
  assert.match(await insteadOf(answer(/manifests/, 429)), /limits the rate of requests \(HTTP 429\)/);
  assert.match(await insteadOf(answer(/manifests/, 401)), /requires a login/);
  assert.match(await insteadOf(answer(/token/, 503)), /answered HTTP 503 for \/token/);
  assert.match(await insteadOf(answer(/hammer\.tgz/, 404)), /hammer\.tgz answered HTTP 404; building/);
});

test('without pinned checksums nothing is fetched', async () => {
  const unpinned = ({ repository, tag, program, archive }: ImageRecipe) => ({
    repository,
    tag,
    program,
    archive,
  });
  const said = await insteadOf(({ recipe, asked }) => {
    assert.equal(asked, []);
    return unpinned(recipe);
  });
  assert.is(
    said,
    'hammer: its checksums are not pinned yet (`npx tsx tasks.ts update tools` fills them in); building from Go modules',
  );
  await withRegistry(async ({ recipe }) => {
    const pins = await currentPins(unpinned(recipe), new AbortController().signal);
    assert.equal(pins, { digest: recipe.digest, sha256: recipe.archive.sha256 });
  });
});

test('a stopped run ends a download that hangs, and leaves nothing', () =>
  withRegistry(({ recipe, fault }) =>
    inPlace(async (place) => {
      fault.answer = (path) => {
        if (!/^\/[0-9a-f]{64}/.test(path)) return undefined;
        setImmediate(() => place.abort.abort(new Error('stopped')));
        return 'hang';
      };
      const error = await getTool(tool(recipe), {}, place.context).catch((it: unknown) => it);
      assert.is((error as Error).message, 'stopped');
      assert.equal(halfMade(place), []);
    }),
  ));

test('on macOS the image is not used, because its program is for Linux', () =>
  withRegistry(({ recipe, asked }) =>
    inPlace((place) =>
      onPlatform('darwin', {}, async () => {
        const error = await getTool(tool(recipe), {}, place.context).catch((it) => it);
        assert.instance(error, MissingToolError);
        assert.equal(asked, []);
      }),
    ),
  ));

test.run();
