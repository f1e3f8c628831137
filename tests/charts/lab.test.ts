import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { helmfileArguments, objectsOf, podTemplates, readYaml, renderEnvironment } from './render.ts';
import { cleanUp, root, succeed } from './tools.ts';

/* The environment `lab`: real pods, without chart repositories and registries. */

const test = suite('environment lab');
test.after(cleanUp);

const rendered = renderEnvironment('existing', 'lab');

test('renders every release without chart repositories', async () => {
  const { releases } = (await readYaml('helmfile.yaml')) as { releases: { name: string }[] };
  assert.equal([...(await rendered).keys()].sort(), releases.map(({ name }) => name).sort());
  const args = [...(await helmfileArguments('existing', 'lab')), 'list', '--output', 'json'];
  const listed = JSON.parse((await succeed('helmfile', args)).stdout) as { name: string; chart: string }[];
  for (const { name, chart } of listed) assert.match(chart, /^(\.\/charts\/|\/.*\/chart$)/, name);
});

test('every pod, including third-party charts and hooks, complies with Pod Security "restricted"', async () => {
  const pods = podTemplates([...(await rendered).values()].flatMap(objectsOf));
  assert.ok(pods.length >= 13);
  for (const [name, pod] of pods) {
    for (const container of pod.containers) {
      // A container's settings override those of its pod.
      const context = { ...pod.securityContext, ...container.securityContext };
      assert.is(context.runAsNonRoot, true, name);
      assert.is(context.seccompProfile?.type, 'RuntimeDefault', name);
      assert.is(context.allowPrivilegeEscalation, false, name);
      assert.equal(context.capabilities?.drop, ['ALL'], name);
      assert.ok(container.resources?.limits?.memory && container.resources?.requests?.memory, name);
    }
  }
});

test('tests/e2e/lab-images.sh creates exactly the images that are used', async () => {
  const script = await readFile(join(root, 'tests/e2e/lab-images.sh'), 'utf8');
  const made = [...script.matchAll(/^\S+ (\S+\/\S+:\S+)$/gm)].map(([, name]) => name ?? '');
  const used = podTemplates([...(await rendered).values()].flatMap(objectsOf)).flatMap(([, pod]) =>
    pod.containers.map(({ image }: { image: string }) =>
      /^[^/]+\./.test(image) ? image : `docker.io/${image}`,
    ),
  );
  // The base of the others, the ingress controller (not a release), and the pause image.
  const own = ['docker.io/library/debian:bookworm-slim', 'docker.io/library/traefik:v3.6.12'];
  const there = ['registry.k8s.io/pause:3.10'];
  assert.equal(
    made.filter((name) => !own.includes(name)).sort(),
    [...new Set<string>(used)].filter((name) => !there.includes(name)).sort(),
  );
});

test.run();
