import { codeOf, pageOf } from './pages.ts';

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
