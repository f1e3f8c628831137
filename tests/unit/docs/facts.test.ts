import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, parseDocument } from 'yaml';
import { root } from '../../../lib/ground/project.ts';
import { exitCodes, signalExitCode } from '../../../lib/runner/errors.ts';
import { tasks } from '../../../tasks/all.ts';
import { codeOf, inlineCodeOf, pageOf, pages, rowsOf } from '../../rig/pages.ts';

const test = suite('facts of the documentation');

/** Words in backticks at the front of a cell, without their arguments. */
const firstWords = (cell = ''): string[] =>
  [...cell.matchAll(/`([a-z0-9-]+)[^`]*`/g)].map(([, name = '']) => name);

test('docs/tasks.md lists exactly the public tasks', () => {
  const names = tasks.filter((task) => !task.private).map(({ name }) => name);
  const rows = rowsOf(pageOf('docs/tasks.md')).filter(
    ([first]) => first?.startsWith('`') && !/^`--?/.test(first),
  );
  const listed = rows.flatMap(([first]) => firstWords(first)).filter((name) => name !== 'list');
  assert.equal(listed.sort(), names.sort());
});

for (const file of ['docs/tasks.md', 'lib/runner/README.md']) {
  test(`${file}: the exit codes are the runner's`, () => {
    const listed = rowsOf(pageOf(file))
      .flatMap(([code = '']) => code.split(', '))
      .filter((code) => /^\d+$/.test(code));
    const signals = (['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const).map(signalExitCode);
    assert.equal(listed.sort(), [...Object.values(exitCodes), ...signals].map(String).sort());
  });
}

/** All sources, without the backslashes and backticks of template literals. */
const sources = ['lib', 'tasks', 'docker']
  .flatMap((folder) =>
    (readdirSync(join(root, folder), { recursive: true }) as string[])
      .filter((path) => /\.(ts|mjs)$/.test(path) && !path.includes('node_modules'))
      .map((path) => readFileSync(join(root, folder, path), 'utf8')),
  )
  .join('\n')
  .replaceAll(/[\\`]/g, '');

test('docs/troubleshooting.md: the messages of the project are in its sources', () => {
  const page = pageOf('docs/troubleshooting.md');
  const ours = { ...page, text: page.text.replace(/^## Other programs[\s\S]*/m, '') };
  const messages = rowsOf(ours)
    .flatMap(([first = '']) => [...first.matchAll(/(`+)(.+?)\1(?!`)/g)])
    .map(([, , message = '']) => message.replaceAll('`', ''));
  assert.ok(messages.length > 40);
  const unknown = messages.filter((message) =>
    message.split('…').some((part) => part.trim().length > 3 && !sources.includes(part.trim())),
  );
  assert.equal(unknown, []);
});

type Tree = { readonly [key: string]: unknown };
const yaml = (file: string): Tree => parse(readFileSync(join(root, file), 'utf8')) as Tree;

/** Settings of every layer, and the values that the project's charts know. */
const settings: readonly Tree[] = [
  ...['common', 'minikube', 'embedded', 'existing', 'production/settings'].map((name) =>
    yaml(`environments/${name}.yaml`),
  ),
  ...['devops', 'postgresql'].map((chart) => ({
    releases: { [chart]: yaml(`charts/${chart}/values.yaml`) },
  })),
  ...['backend', 'frontend'].map((chart) => ({
    releases: { [`app-${chart.replace('end', '')}`]: yaml(`charts/${chart}/values.yaml`) },
  })),
];

/** True when a tree has this path; `<app>-back` stands for any key with that end. */
function has(tree: unknown, [key, ...rest]: readonly string[]): boolean {
  if (key === undefined) return true;
  if (typeof tree !== 'object' || tree === null) return false;
  const pattern = new RegExp(`^${key.replace(/<[^>]*>/, '.+')}$`);
  return Object.entries(tree).some(([name, value]) => pattern.test(name) && has(value, rest));
}

test('settings that it names exist', () => {
  const sections = Object.keys(settings[0] ?? {}).join('|');
  const dotted = new RegExp(`^(?:${sections})(?:\\.[\\w<> -]+)+$`);
  const named = pages
    .flatMap(inlineCodeOf)
    .filter((code) => dotted.test(code) && !/\.(?:ya?ml|ts)$/.test(code));
  assert.ok(named.length > 30);
  // Of applications and releases that a reader adds, and of charts of other people.
  const free = /app3|cache|^ingress\.values\./;
  const unknown = named.filter(
    (name) => !free.test(name) && !settings.some((tree) => has(tree, name.split('.'))),
  );
  assert.equal(unknown, []);
});

test('its YAML can be read', () => {
  const blocks = pages.flatMap((page) => codeOf(page).filter(({ language }) => language === 'yaml'));
  assert.ok(blocks.length > 3);
  assert.equal(
    blocks.flatMap(({ code }) => parseDocument(code).errors),
    [],
  );
});

test('docs/licences.md names the licences of all npm packages', () => {
  const { text } = pageOf('docs/licences.md');
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: { [path: string]: { license?: string } };
  };
  const licences = new Set(Object.values(packages).flatMap(({ license = '' }) => license.split(' OR ')));
  for (const licence of licences) assert.match(text, licence);
});

test.run();
