import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, parseDocument } from 'yaml';
import { root } from '../../../lib/ground/project.ts';
import { exitCodes, signalExitCode } from '../../../lib/runner/errors.ts';
import { tasks } from '../../../tasks/all.ts';
import { codeOf, inlineCodeOf, type Page, pageOf, pages, proseOf, rowsOf } from '../../rig/pages.ts';

const test = suite('documentation');

const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const below = (folder: string): string[] =>
  (readdirSync(join(root, folder), { recursive: true }) as string[])
    .map((path) => `${folder}/${path}`)
    .filter((path) => !path.includes('node_modules'));

test('docs/tasks.md lists exactly the public tasks', () => {
  const listed = rowsOf(pageOf('docs/tasks.md'))
    .filter(([first]) => first?.startsWith('`') && !/^`--?/.test(first))
    .flatMap(([first = '']) => [...first.matchAll(/`([a-z0-9-]+)[^`]*`/g)].map(([, name]) => name));
  const names = tasks.filter((task) => !task.private).map(({ name }) => name);
  assert.equal(listed.sort(), ['list', ...names].sort());
});

for (const file of ['docs/tasks.md', 'lib/runner/README.md'])
  test(`${file}: the exit codes are the runner's`, () => {
    const listed = rowsOf(pageOf(file))
      .flatMap(([code = '']) => code.split(', '))
      .filter((code) => /^\d+$/.test(code));
    const signals = (['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const).map(signalExitCode);
    assert.equal(listed.sort(), [...Object.values(exitCodes), ...signals].map(String).sort());
  });

test('docs/troubleshooting.md: the messages of the project are in its sources', () => {
  // Without the backslashes and backticks of template literals.
  const sources = ['lib', 'tasks', 'docker']
    .flatMap(below)
    .filter((path) => /\.(ts|mjs)$/.test(path))
    .map(read)
    .join('\n')
    .replaceAll(/[\\`]/g, '');
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

/** True when a tree has this path; `<app>-back` stands for any key with that end. */
function has(tree: unknown, [key, ...rest]: readonly string[]): boolean {
  if (key === undefined) return true;
  if (typeof tree !== 'object' || tree === null) return false;
  const pattern = new RegExp(`^${key.replace(/<[^>]*>/, '.+')}$`);
  return Object.entries(tree).some(([name, value]) => pattern.test(name) && has(value, rest));
}

test('settings that it names exist', () => {
  const layers = ['common', 'minikube', 'embedded', 'existing', 'production/settings'].map((name) =>
    parse(read(`environments/${name}.yaml`)),
  );
  const releases = ['app-back backend', 'app-front frontend', 'devops devops', 'postgresql postgresql'];
  const ofCharts = releases
    .map((names) => names.split(' '))
    .map(([release = '', chart]) => ({
      releases: { [release]: parse(read(`charts/${chart}/values.yaml`)) },
    }));
  const settings = [...layers, ...ofCharts];
  const dotted = new RegExp(`^(?:${Object.keys(layers[0]).join('|')})(?:\\.[\\w<> -]+)+$`);
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
  for (const { code } of blocks) assert.equal(parseDocument(code).errors, [], code);
});

test('docs/licences.md names the licences of all npm packages', () => {
  type Package = { readonly license?: string };
  const packages = Object.values<Package>(JSON.parse(read('package-lock.json')).packages);
  for (const licence of packages.flatMap(({ license = '' }) => license.split(' OR ')))
    assert.match(pageOf('docs/licences.md').text, licence);
});

function anchorsOf(file: string): string[] {
  const headings = proseOf({ file, text: read(file) }).matchAll(/^#+ (.+)$/gm);
  const words = Array.from(headings, ([, heading = '']) => heading.toLowerCase());
  return words.map((text) => text.replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-'));
}

const linksOf = (page: Page): string[] =>
  [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);

test('links lead to a file and a heading', () => {
  for (const page of pages)
    for (const link of linksOf(page).filter((link) => !link.startsWith('https://'))) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page.file : join(dirname(page.file), path);
      assert.ok(existsSync(join(root, target)), `${page.file}: ${link}`);
      if (anchor !== undefined) assert.ok(anchorsOf(target).includes(anchor), `${page.file}: ${link}`);
    }
});

const folders = 'bench charts docker docs environments lib sops tasks tests vault'.split(' ');
const paths = [...folders, ...folders.flatMap(below)];

/** True when there are files or folders that a path with placeholders names. */
function exists(path: string): boolean {
  const pattern = path
    .replace(/\/$/, '')
    .replaceAll('.', '\\.')
    .replaceAll(/<[^>]+>/g, '[^/]+')
    .replaceAll('*', '[^/]*');
  const whole = new RegExp(`^${pattern}$`);
  return paths.some((candidate) => whole.test(candidate));
}

test('files and folders that a page names exist', () => {
  // `lib/helm/`, `environments/<environment>/*.yaml`: a path from the root, with placeholders.
  const form = new RegExp(`^(?:${folders.join('|')})/[\\w./<>*-]*$`);
  for (const page of pages)
    for (const path of inlineCodeOf(page).filter((code) => form.test(code)))
      assert.ok(exists(path), `${page.file}: ${path}`);
});

test('docs/architecture.md: a file without its folder is beside the one before it', () => {
  for (const [change = '', cell = ''] of rowsOf(pageOf('docs/architecture.md'))) {
    let folder = '.';
    for (const [, code = ''] of cell.matchAll(/`([\w./<>-]+)`/g))
      if (code.includes('/')) folder = code.endsWith('/') ? code.slice(0, -1) : dirname(code);
      else if (/\.(?:ts|json|yaml|sql|hcl|tpl)$/.test(code) && !existsSync(join(root, code)))
        assert.ok(exists(`${folder}/${code}`), `${change}: ${code}`);
  }
});

test('every page can be reached from README.md', () => {
  const reached = new Set(['README.md']);
  for (const file of reached)
    for (const link of linksOf(pageOf(file))) {
      const target = relative('', join(dirname(file), link.split('#')[0] ?? ''));
      if (pages.some((page) => page.file === target)) reached.add(target);
    }
  for (const { file } of pages) assert.ok(reached.has(file), file);
});

test('README.md has at most 200 lines', () => {
  assert.ok(pageOf('README.md').text.split('\n').length <= 201);
});

/** Paragraphs, list items and cells, with inline code and link targets as one word. */
function textsOf(page: Page): string[] {
  const paragraphs = proseOf(page)
    .split('\n')
    .filter((line) => !/^[|#]/.test(line))
    .join('\n')
    .split(/\n\s*\n|\n *(?:[-*]|\d+\.) /);
  return [...paragraphs, ...rowsOf(page).flat()].map((text) =>
    text
      .replaceAll(/(`+).+?\1(?!`)/g, 'CODE')
      .replaceAll(/\]\([^)]*\)/g, ']')
      .replaceAll(/\s+/g, ' '),
  );
}

test('no sentence is longer than 25 words', () => {
  for (const page of pages)
    for (const sentence of textsOf(page).flatMap((text) => text.split(/(?<=[.!?]) /)))
      assert.ok((sentence.match(/[\p{L}\p{N}]\S*/gu) ?? []).length <= 25, `${page.file}: ${sentence}`);
});

test('pages say it in plain words', () => {
  for (const { file, text } of pages)
    assert.equal(text.match(/\b(?:anew|mend(?:s|ed)?|cannot be got|of ours)\b/gi) ?? [], [], file);
});

test.run();
