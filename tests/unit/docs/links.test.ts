import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { inlineCodeOf, type Page, pageOf, pages, proseOf, rowsOf } from '../../rig/pages.ts';

const test = suite('links of the documentation');

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(file: string): string[] {
  const prose = proseOf({ file, text: readFileSync(join(root, file), 'utf8') });
  return [...prose.toLowerCase().matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading.replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-'),
  );
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
const paths = [
  ...folders,
  ...folders.flatMap((folder) =>
    (readdirSync(join(root, folder), { recursive: true }) as string[]).map((path) => `${folder}/${path}`),
  ),
].filter((path) => !path.includes('node_modules'));

/** `lib/helm/`, `environments/<environment>/*.yaml`: a path from the root, with placeholders. */
const pathPattern = new RegExp(`^(?:${folders.join('|')})/[\\w./<>*-]*$`);

/** True for the paths that a path with placeholders names. */
function named(path: string): (candidate: string) => boolean {
  const pattern = path
    .replace(/\/$/, '')
    .replaceAll('.', '\\.')
    .replaceAll(/<[^>]+>/g, '[^/]+')
    .replaceAll('*', '[^/]*');
  const whole = new RegExp(`^${pattern}$`);
  return (candidate) => whole.test(candidate);
}

test('files and folders that a page names exist', () => {
  for (const page of pages)
    for (const path of inlineCodeOf(page).filter((code) => pathPattern.test(code))) {
      assert.ok(paths.some(named(path)), `${page.file}: ${path}`);
    }
});

test('docs/architecture.md: a file without its folder is beside the one before it', () => {
  const missing: string[] = [];
  for (const [change = '', cell = ''] of rowsOf(pageOf('docs/architecture.md'))) {
    let folder = '.';
    for (const [, code = ''] of cell.matchAll(/`([\w./<>-]+)`/g)) {
      if (code.includes('/')) folder = code.endsWith('/') ? code.slice(0, -1) : dirname(code);
      else if (/\.(?:ts|json|yaml|sql|hcl|tpl)$/.test(code) && !existsSync(join(root, code)))
        if (!paths.some(named(`${folder}/${code}`))) missing.push(`${change}: ${code}`);
    }
  }
  assert.equal(missing, []);
});

test('every page can be reached from README.md', () => {
  const reached = new Set(['README.md']);
  for (const file of reached)
    for (const link of linksOf(pageOf(file))) {
      const target = relative('', join(dirname(file), link.split('#')[0] ?? ''));
      if (pages.some((page) => page.file === target)) reached.add(target);
    }
  assert.equal(
    pages.map(({ file }) => file).filter((file) => !reached.has(file)),
    [],
  );
});

test.run();
