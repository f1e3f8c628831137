import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { reportPage } from '../../../report/html.ts';
import { pageMark } from '../../../report/recorded-run.ts';
import { node } from '../../rig/views.ts';
import { ran, recordedRun } from './fixture.ts';

const nasty = '</script><script>alert(1)</script><!-- \u2028\u2029 $& {{x}} <!-- data -->';

function page(labels: readonly string[]): Promise<string> {
  const lines = [{ at: 1, stream: 'stdout' as const, text: nasty }];
  const tasks = labels.map((label, place) =>
    ran(label, place * 10, place * 10 + 10, { lines, retriedAt: [1] }),
  );
  const nodes = labels.map((label, place) => node(`n${place}`, label));
  return reportPage(recordedRun(tasks), { title: 'top', nodes, edges: [] });
}

const scripts = (html: string) => [...html.matchAll(/<script([^>]*)>(.*?)<\/script>/gs)];

test('the page has one script and one block of data, whatever the logs hold', async () => {
  const html = await page(['a', nasty]);
  const kinds = scripts(html).map(([, attributes]) => attributes);
  assert.equal(kinds, [' type="application/json" id="data"', ' type="module"']);
  const data = JSON.parse(scripts(html)[0]?.[2] ?? '');
  assert.equal([data.tasks[1].label, data.tasks[1].attempts], [nasty, 2]);
  assert.equal(data.critical, { tasks: [0], durationMs: 10 });
  assert.is(data.tasks[0].lines[0].text, nasty);
  assert.is(html.match(/<svg /g)?.length, 1);
  assert.ok(html.slice(0, 1000).includes(pageMark), 'another report may replace it');
});

test('nothing but its own style and script is allowed, by their hashes', async () => {
  const html = await page(['a']);
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? '';
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const style = /<style>(.*?)<\/style>/s.exec(html)?.[1] ?? '';
  assert.equal(policy.split('; '), [
    "default-src 'none'",
    `script-src ${hash(scripts(html)[1]?.[2] ?? '')}`,
    `style-src ${hash(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ]);
  // Before anything that it could forbid.
  assert.ok(html.indexOf('Content-Security-Policy') < html.indexOf('<style>'));
  assert.not.match(
    html.replace('http://www.w3.org/2000/svg', ''),
    /https?:|\ssrc=|\shref=|@import|url\((?!#)/,
  );
  assert.not.match(html, / style="| on[a-z]+="/);
});

test('a graph of too many tasks is not drawn, and the page says so', async () => {
  const html = await page(Array.from({ length: 501 }, (_, place) => `t${place}`));
  assert.match(html, 'Not drawn: 501 tasks are too many for a picture.');
  assert.not.match(html, '<svg ');
});

test.run();
