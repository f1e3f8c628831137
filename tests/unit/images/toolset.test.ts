import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { providerNames } from '../../../lib/cluster/providers.ts';
import { root } from '../../../lib/ground/project.ts';
import { buildToolset } from '../../../tasks/images.ts';

const file = 'docker/toolset/Dockerfile';
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const dockerfile = read(file);

/** What the Dockerfile copies from the clone. */
const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, paths = '']) =>
  paths.split(' '),
);

test('the build gets the files that it copies, and no other file of the clone', () => {
  const [everything, ...allowed] = read(`${file}.dockerignore`)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  assert.is(everything, '*');
  assert.equal(allowed, copied.map((path) => `!${path}`).sort());
  for (const path of copied) assert.ok(existsSync(join(root, path)), path);
});

test('its user may start what is copied from a clone that was made with umask 077', () => {
  const stage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
  for (const [, path = '', to = ''] of stage.matchAll(/^COPY (?!--from)(\S+) (\S+)$/gm))
    assert.match(stage, `chmod a+rx ${join(to, basename(path))}\n`);
});

test('the image has the tools of every provider', () => {
  const loops = [...dockerfile.matchAll(/for provider in (.*?);/g)].map(([, names = '']) =>
    names.split(' ').sort(),
  );
  assert.is(loops.length, 2);
  for (const names of loops) assert.equal(names, [...providerNames].sort());
});

test('the development container is built from it, with its user', () => {
  const folder = '.devcontainer';
  const { build, remoteUser } = JSON.parse(read(`${folder}/devcontainer.json`));
  assert.is(relative(root, resolve(root, folder, build.dockerfile)), file);
  assert.is(resolve(root, folder, build.context), dirname(join(root, 'tasks.ts')));
  assert.match(dockerfile, new RegExp(`^USER ${remoteUser}$`, 'm'));
});

test('words after `--` are options of the build', async () => {
  const options = { env: 'development', provider: 'minikube' };
  const input = { args: { tag: '1' }, options, passThrough: ['--build-arg', 'TOOLS=toolset:0'] };
  assert.equal(await buildToolset.commands?.(input as never), [
    `docker build --file ${file} --build-arg TOOLS=toolset:0 --tag k8s-deployment/toolset:1 .`,
  ]);
});

test.run();
