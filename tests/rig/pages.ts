import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../lib/ground/project.ts';

/** A page of the documentation; `file` is relative to the project's root. */
export type Page = { readonly file: string; readonly text: string };

const files = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...['sops/README.md', 'vault/README.md'],
  ...readdirSync(join(root, 'lib')).map((room) => `lib/${room}/README.md`),
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** Every handwritten page; the READMEs of the charts are generated. */
export const pages: readonly Page[] = files.map((file) => ({
  file,
  text: readFileSync(join(root, file), 'utf8'),
}));

export const pageOf = (file: string): Page => {
  const page = pages.find((candidate) => candidate.file === file);
  if (page === undefined) throw new Error(`${file} is not among the pages`);
  return page;
};

/** Fenced code, with its language and the lines above it on the page. */
export function codeOf({ text }: Page): { readonly language: string; readonly code: string }[] {
  const blocks = text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```$/gm);
  return [...blocks].map(([, indent = '', language = '', code = '']) => ({
    language,
    code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
}

export const proseOf = ({ text }: Page): string => text.replace(/^( *)```[\s\S]*?^\1```$/gm, '');

export const inlineCodeOf = (page: Page): string[] =>
  [...proseOf(page).matchAll(/(`+)(.+?)\1(?!`)/g)].map(([, , code = '']) => code.trim());

/** Cells of every row of every table, without the separator row. */
export const rowsOf = (page: Page): string[][] =>
  proseOf(page)
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^[|\s:-]+$/.test(line))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

/** The commands under a heading of docs/restore.md, as a script; `bash` blocks are for some readers only. */
export function runbook(heading: string, languages: readonly string[] = ['sh', 'bash']): string {
  const { file, text } = pageOf('docs/restore.md');
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`${file} has no heading ${heading}`);
  return codeOf({ file, text: section })
    .filter(({ language }) => languages.includes(language))
    .map(({ code }) => code)
    .join('');
}
