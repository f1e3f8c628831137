import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import {
  type ChartName,
  objectsOf,
  ofKind,
  podTemplates,
  readYaml,
  render,
  renderEnvironment,
  type Tree,
} from './render.ts';
import { cleanUp, root, temporaryFolder } from './tools.ts';

const test = suite('images and priorities');
test.after(cleanUp);

const charts: readonly (readonly [ChartName, Tree])[] = [
  ['backend', {}],
  ['frontend', {}],
  ['metrics-server', {}],
  ['postgresql', {}],
  ['vault', {}],
  ['stand-in', { workload: { kind: 'StatefulSet' } }],
  ['traefik', {}],
];

test('an image reference has the tag and, if set, the digest', async () => {
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  const image = { repository: 'registry.example/some/image', tag: '1.2', digest };
  for (const [chart, values] of charts) {
    const change = chart === 'backend' ? { image, verification: { image } } : { image };
    const objects = await render(chart, { values: { ...values, ...change } });
    for (const [name, pod] of podTemplates(objects)) {
      for (const container of pod.containers)
        assert.is(container.image, `registry.example/some/image:1.2@${digest}`, name);
    }
  }
});

test('a digest in the settings reaches the pods of every provider', async () => {
  const { images } = (await readYaml('environments/common.yaml')) as { images: Record<string, Tree> };
  for (const image of Object.values(images))
    assert.equal(Object.keys(image), ['repository', 'tag', 'digest', 'build']);
  const folder = await temporaryFolder();
  for (const name of ['charts', 'environments', 'helmfile.yaml'])
    await cp(join(root, name), join(folder, name), { recursive: true });
  const digests = Object.keys(images).map((name, index) => [
    name,
    { digest: `sha256:${`${index}`.repeat(64)}` },
  ]);
  const settings = join(folder, 'environments/development/settings.yaml');
  const own = await readYaml('environments/development/settings.yaml');
  await writeFile(settings, stringify({ ...own, images: Object.fromEntries(digests) }));
  const rendered = await renderEnvironment('minikube', 'development', folder);
  const found = [...rendered.values()]
    .flatMap(objectsOf)
    .flatMap((object) => podTemplates([object]))
    .flatMap(([, pod]) =>
      pod.containers.map(({ image }: { image: string }) => image.split('@sha256:')[1]?.[0]),
    );
  assert.equal([...new Set(found)].sort(), ['0', '1', '2', '3']);
});

test('pods use the PriorityClass of their kind, which devops creates', async () => {
  const objects = [...(await renderEnvironment('embedded')).values()].flatMap(objectsOf);
  const classes = new Map(
    ofKind(objects, 'PriorityClass').map(({ metadata, value }) => [metadata.name, value]),
  );
  assert.is(classes.size, 3);
  const value = (name: string) => {
    const pods = objects.filter(({ metadata, spec }) => metadata.name === name && spec?.template);
    assert.is(pods.length, 1, name);
    const priority = classes.get(pods[0]?.spec.template.spec.priorityClassName);
    assert.ok(priority, `${name} has a priority`);
    return priority;
  };
  const applications = ['app1-back', 'app1-back-verification', 'app2-front'].map(value);
  for (const application of applications) assert.ok(value('postgresql') > application);
  for (const platform of ['vault', 'metrics-server', 'reloader-reloader'])
    assert.ok(value(platform) > value('postgresql'));
});

test.run();
