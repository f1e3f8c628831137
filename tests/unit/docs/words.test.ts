import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pageOf, pages, proseOf, rowsOf } from '../../rig/pages.ts';

const test = suite('words of the documentation');

const longest = 25;

test('README.md has at most 200 lines', () => {
  assert.ok(pageOf('README.md').text.split('\n').length <= 201);
});

/** Paragraphs, list items and cells, with inline code and link targets as one word. */
function textsOf(page: (typeof pages)[number]): string[] {
  const paragraphs = proseOf(page)
    .split('\n')
    .filter((line) => !line.startsWith('|') && !line.startsWith('#'))
    .join('\n')
    .split(/\n\s*\n|\n *(?:[-*]|\d+\.) /);
  return [...paragraphs, ...rowsOf(page).flat()].map((text) =>
    text
      .replaceAll(/(`+).+?\1(?!`)/g, 'CODE')
      .replaceAll(/\]\([^)]*\)/g, ']')
      .replaceAll(/\s+/g, ' '),
  );
}

test(`no sentence is longer than ${longest} words`, () => {
  for (const page of pages)
    for (const sentence of textsOf(page).flatMap((text) => text.split(/(?<=[.!?]) /)))
      assert.ok((sentence.match(/[\p{L}\p{N}]\S*/gu) ?? []).length <= longest, `${page.file}: ${sentence}`);
});

test('pages say it in plain words', () => {
  for (const { file, text } of pages)
    assert.equal(text.match(/\b(?:anew|mend(?:s|ed)?|cannot be got|of ours)\b/gi) ?? [], [], file);
});

test.run();
