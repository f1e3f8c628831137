import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { graphPicture } from '../../../report/graph-picture.ts';
import { reportPage } from '../../../report/html.ts';
import { pageMark, traceOf } from '../../../report/reports.ts';
import { edge, node, sample as view } from '../../rig/graphs.ts';
import { ran, recordedRun, unstarted } from './fixture.ts';

const nasty = '</script><script>alert(1)</script><!-- \u2028\u2029 $& {{x}} <!-- data -->';

function page(labels: readonly string[]): Promise<string> {
  const lines = [{ at: 1, stream: 'stdout' as const, text: nasty }];
  const tasks = labels.map((label, place) => ran(label, place * 10, place * 10 + 10, { lines, attempts: 2 }));
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
  const rest = html.replace('http://www.w3.org/2000/svg', '');
  assert.not.match(rest, /https?:|\ssrc=|\shref=|@import|url\((?!#)| style="| on[a-z]+="/);
});

test('a graph of too many tasks is not drawn, and the page says so', async () => {
  const html = await page(Array.from({ length: 501 }, (_, place) => `t${place}`));
  assert.match(html, 'Not drawn: 501 tasks are too many for a picture.');
  assert.not.match(html, '<svg ');
});

test('a box for each node, an arrow for each edge, a legend of what is in it', async () => {
  const text = await graphPicture(view);
  assert.is(text.match(/<g class="node/g)?.length, 4);
  const title = '<title>makes tool helm · private · x.ts:3</title>';
  assert.match(text, `<g class="node private" data-node="n0">${title}<rect`);
  assert.match(text, /<g class="node long-running".*rx="13"/);
  assert.match(text, '<path class="edge need" data-from="n0" data-to="n1" marker-end="url(#arrow)" d="M');
  assert.match(text, '<path class="edge after" data-from="n1" data-to="n2"');
  assert.match(text, '<path class="edge finally" data-from="n2" data-to="n3"');
  const marks =
    'thick border: requested   dashed border: private   round ends: long-running   hexagon: finaliser';
  assert.match(text, `${marks}   dashed arrow: after, when both run   dotted arrow: finally`);
  const plain = await graphPicture({ title: 't', nodes: [node('n0', 'one')], edges: [] });
  assert.not.match(plain, 'class="legend"');
});

test('well-formed whatever the labels', async () => {
  const nasty = 'a "b" \\N <i>&amp; `c` #35; </script> ]]> {x} |y| ü\nz\u0000\u001B\uD800';
  const text = await graphPicture({ title: nasty, nodes: [node('n0', nasty)], edges: [] });
  assert.match(text, '&quot;b&quot; \\N &lt;i&gt;&amp;amp; `c`');
  assert.not.match(text, '<i>');
  assert.not.match(text, '</script>');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: looks for them
  assert.not.match(text, /[\u0000-\u0008\u000B-\u001F]/);
  assert.not.match(text, /\p{Surrogate}/u);
  assert.match(text, 'aria-label="graph of a &quot;b');
});

test('two edges of one pair and a graph without nodes are drawn too', async () => {
  const pair = [edge('n0', 'n1'), edge('n0', 'n1', 'finally')];
  assert.is((await graphPicture({ ...view, edges: pair })).match(/class="edge/g)?.length, 2);
  assert.match(await graphPicture({ title: 't', nodes: [], edges: [] }), 'viewBox="0 0 24 0"');
});

test('an edge to a narrow box does not run through the wide ones above and below', async () => {
  const wide = 'w'.repeat(40);
  const nodes = [node('n0', 'first'), node('n1', wide), node('n2', wide), node('n3', 'x')];
  const edges = ['n1', 'n2', 'n3'].map((to) => edge('n0', to));
  const text = await graphPicture({ title: 't', nodes, edges });
  const left = Number(/data-node="n1".*?<rect x="([\d.]+)"/.exec(text)?.[1]);
  const curve = /data-to="n3".* ([-\d.]+) ([-\d.]+)C\S+ \S+ \S+ \S+ ([-\d.]+) ([-\d.]+)"/.exec(text);
  const [x = 0, y = 0, end = 0, last = 0] = curve?.slice(1).map(Number) ?? [];
  assert.ok(Math.abs(x - left) < 0.2, `it turns level at ${x}, the wide boxes begin at ${left}`);
  assert.ok(end > left + 50 && y === last);
});

type Slice = Extract<ReturnType<typeof traceOf>['traceEvents'][number], { readonly dur: number }>;

test('each worker is a thread with a name, each task that ran a slice in microseconds', () => {
  const failure = { what: 'no luck', exitCode: 7 };
  const run = recordedRun([
    ran('base', 0, 100),
    ran('left', 100, 250, { waitedMs: 3, attempts: 3 }),
    ran('right', 100, 180, { lane: 1, status: 'failed', failure }),
    ran('top', 250, 250),
    { ...ran('never', 0, 0), ...unstarted },
  ]);
  const text = JSON.stringify(traceOf(run));
  assert.match(text, /^\{"traceEvents":/, 'another trace may replace it');
  const { traceEvents, ...rest } = JSON.parse(text);
  const events: readonly Slice[] = traceEvents;
  assert.equal(rest, {
    displayTimeUnit: 'ms',
    otherData: { task: 'top', outcome: 'done', started: '2023-11-14T22:13:20.000Z', jobs: '2' },
  });
  const named = events.filter(({ ph }) => ph === 'M');
  const names = named.map(({ name, tid, args }) => `${name} ${tid}: ${Object.values(args)}`);
  assert.equal(names, ['process_name 0: top', 'thread_name 1: worker 1', 'thread_name 2: worker 2']);
  const slices = events.filter((event) => 'dur' in event);
  const shown = slices.map(({ name, tid, ts, dur }) => `${name} on ${tid} at ${ts} for ${dur}`);
  const [first, last] = ['base on 1 at 0 for 100000', 'top on 1 at 250000 for 1'];
  assert.equal(shown, [first, 'right on 2 at 100000 for 80000', 'left on 1 at 100000 for 150000', last]);
  const [, right, left] = slices;
  assert.equal(left?.args, { status: 'done', waitedMs: 3, attempts: 3, declared: 'x.ts:1' });
  assert.equal([right?.args.failure, right?.args.exitCode], ['no luck', 7]);
});

test('slices of one thread never overlap, however short the tasks', () => {
  const tasks = Array.from({ length: 50 }, (_, place) => ran(`t${place}`, 7, place < 25 ? 7 : 8));
  const slices = traceOf(recordedRun(tasks)).traceEvents.filter((event) => 'dur' in event);
  const sorted = slices.sort((left, right) => left.ts - right.ts);
  assert.is(sorted.length, 50);
  for (const [index, { ts, dur = 0 }] of sorted.entries())
    assert.ok(ts + dur <= (sorted[index + 1]?.ts ?? Number.POSITIVE_INFINITY));
});

test.run();
