import { readFile } from 'node:fs/promises';
import type { PageRow } from '@k8s-deployment/runner';
import type { Status } from './status.ts';

/** By which an earlier page is recognised. */
export const pageMark = '<meta name="generator" content="k8s-deployment status">';

/** The status as a self-contained page, which loads and runs nothing. */
export async function statusPage(
  { environment, cluster }: Status,
  rows: readonly PageRow[],
  now = new Date(),
): Promise<string> {
  const template = await readFile(new URL('status.html', import.meta.url), 'utf8');
  const parts: { readonly [name: string]: string } = {
    mark: pageMark,
    title: escapeHtml(`${environment}: ${cluster.state}`),
    rows: rows.map(tableRow).join('\n'),
    read: `Read at <time datetime="${now.toISOString()}">${now.toUTCString()}</time>`,
  };
  return template.replace(/<!-- (\w+) -->/g, (_, name: string) => parts[name] ?? '');
}

function tableRow({ name, text, tone }: PageRow): string {
  const kind = tone === undefined ? '' : ` class="${tone}"`;
  return `<tr${kind}><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(text)}</td></tr>`;
}

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
