import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import picomatch from 'picomatch';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { root } from '../../../lib/ground/project.ts';
import { isTree, type Tree, valueAt } from '../../../lib/ground/tree.ts';
import { loadManifest } from '../../../lib/tools/manifest.ts';

/* Renovate's own managers know npm, Go modules, Dockerfiles, charts and pipelines; these patterns are for the rest. */

type Renovate = {
  readonly [list in 'enabledManagers' | 'ignorePaths']: readonly string[];
} & {
  readonly customManagers: readonly ({
    readonly [list in 'managerFilePatterns' | 'matchStrings']: readonly string[];
  } & { readonly depNameTemplate?: string })[];
  readonly packageRules: readonly { matchDepNames?: readonly string[]; registryUrls?: readonly string[] }[];
};

const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const renovate: Renovate = JSON.parse(read('renovate.json'));
const isIgnored = picomatch([...renovate.ignorePaths], { dot: true });
const files = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && !isIgnored(file));

/** Everything that the patterns find, as `FILE: NAME VERSION`. */
const found = renovate.customManagers.flatMap(({ managerFilePatterns, matchStrings, depNameTemplate }) =>
  files
    .filter((file) => managerFilePatterns.some((pattern) => new RegExp(pattern.slice(1, -1)).test(file)))
    .flatMap((file) =>
      matchStrings
        .flatMap((pattern) => [...read(file).matchAll(new RegExp(pattern, 'g'))])
        .map(({ groups }) => `${file}: ${groups?.depName ?? depNameTemplate} ${groups?.currentValue}`),
    ),
);

const mapsIn = (tree: unknown, key: string): [string, Tree][] =>
  Object.entries((valueAt(tree, [key]) ?? {}) as Tree).filter((entry): entry is [string, Tree] =>
    isTree(entry[1]),
  );

test('Renovate’s patterns find every pin of the settings and of the tools, and nothing else', async () => {
  const ofSettings = files
    .filter((file) => /^environments\/.+\.yaml$/.test(file) && !file.includes('/secrets/'))
    .flatMap((file) => {
      const tree: unknown = parse(read(file));
      const images = mapsIn(tree, 'images').filter(([, { build }]) => !build);
      const charts = mapsIn(tree, 'charts').map(([, chart]) => chart);
      const ingress = valueAt(tree, ['ingress', 'chart']);
      const kubernetes = valueAt(tree, ['cluster', 'kubernetesVersion']);
      return [
        ...images.filter(([, { tag }]) => tag).map(([, { repository, tag }]) => `${repository} ${tag}`),
        ...[...charts, ...(isTree(ingress) ? [ingress] : [])]
          .filter(({ version }) => version)
          .map(({ chart, version }) => `${chart} ${version}`),
        ...(kubernetes ? [`kubernetes/kubernetes ${kubernetes}`] : []),
      ].map((line) => `${file}: ${line}`);
    });
  const { mise, tools } = await loadManifest();
  const ofTools = Object.values(tools).flatMap(({ version, release, image, npm, go }) => {
    const name = release?.package.replace(/^\w+:/, '').match(/^[\w.-]+(?:\/[\w.-]+)?/)?.[0];
    const source = npm
      ? npm.package.replace('{platform}', '')
      : (name ?? image?.repository ?? go?.package.split('/').slice(1, 3).join('/'));
    // Our own programs have no newer version to find.
    return version === undefined || source?.startsWith('tools/')
      ? []
      : [`${source} ${npm?.version ?? version}`];
  });
  const ofMise = `${mise.package.replace('{platform}', '')} ${mise.version}`;
  const pinned = [...ofSettings, ...[...ofTools, ofMise].map((line) => `lib/tools/manifest.yaml: ${line}`)];
  assert.equal(found.sort(), pinned.sort());
});

test('Renovate’s own managers are on for what they know', () => {
  for (const [manager, file] of Object.entries({
    ...{ npm: 'package.json', gomod: 'lib/tools/go/helm/go.mod', dockerfile: 'docker/backend/Dockerfile' },
    ...{ 'helm-values': 'charts/backend/values.yaml', gitlabci: '.gitlab-ci.yml' },
    'github-actions': '.github/workflows/environment.yml',
  }))
    assert.ok(files.includes(file) && renovate.enabledManagers.includes(manager), manager);
});

test('Renovate asks the chart repositories of helmfile.yaml, and its patterns need nothing that RE2 lacks', () => {
  const { repositories } = parse(read('helmfile.yaml')) as { repositories: { name: string; url: string }[] };
  const asked = renovate.packageRules.flatMap(({ matchDepNames = [], registryUrls = [] }) =>
    registryUrls.map((url) => ({ name: matchDepNames[0]?.split('/')[0], url })),
  );
  assert.equal(asked, repositories);
  for (const pattern of renovate.customManagers.flatMap(({ matchStrings }) => matchStrings))
    assert.not.match(pattern, /\(\?<?[=!]|\\[1-9k]/);
});

test.run();
