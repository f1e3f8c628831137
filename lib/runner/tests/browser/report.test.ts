import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { reportPage } from '../../report/html.ts';
import { complaints, page, requests, useBrowser } from '../rig/chromium.ts';
import { temporaryFolder } from '../rig/folder.ts';
import { edge, node } from '../rig/graphs.ts';
import { ran, recordedRun, unstarted } from '../unit/report/fixture.ts';

const browserTest = useBrowser(test);
const folder = temporaryFolder();
const file = join(folder, 'run.html');
const nasty = `</script><img src=x onerror="document.title='broken'">\u2028 end`;

test.before(makeReport);
test.before.each(async () => void (await page.goto(pathToFileURL(file).href)));

/** a and b side by side, c after a; d fails and top is left out. */
async function makeReport(): Promise<void> {
  const printed = { at: 1, stream: 'stdout', text: nasty } as const;
  const unlucky = { at: 1, stream: 'stderr', text: 'out of luck' } as const;
  const failure = { what: 'the command failed with exit code 7', why: 'out of luck', exitCode: 7 };
  const tasks = [
    ran('a', 0, 300, { lines: [printed] }),
    ran('b', 0, 350, { lane: 1 }),
    ran('c', 300, 600, { needs: [0] }),
    ran('d', 600, 900, { needs: [1, 2], status: 'failed', failure, chain: ['top', 'd'], lines: [unlucky] }),
    { ...ran('top', 0, 0, { needs: [3], status: 'skipped', because: 3 }), ...unstarted },
  ];
  const nodes = tasks.map(({ label }, place) => node(`n${place}`, label, label === 'c' ? ['private'] : []));
  const edges = [edge('n0', 'n2'), edge('n1', 'n3', 'after'), edge('n2', 'n3'), edge('n3', 'n4')];
  const run = recordedRun(tasks, { outcome: 'failed', exitCode: 7 });
  writeFileSync(file, await reportPage(run, { title: 'top', nodes, edges }));
}

const titled = (label: string) => page.getByTitle(new RegExp(`^${label},`));
const bar = (label: string) => page.locator('.bar', { hasText: label }).or(titled(label)).first();
const texts = (selector: string) => page.locator(selector).allInnerTexts();
const focused = async () => String(await page.evaluate('document.activeElement.getAttribute("aria-label")'));
/** The address changes first, and the page follows it. */
const heading = (label: string) => page.locator('#detail h2').getByText(label, { exact: true }).waitFor();

browserTest('the page asks for nothing but itself, and has nothing to complain about', async () => {
  assert.equal(requests, [pathToFileURL(file).href]);
  assert.equal(complaints, []);
  assert.is(await page.title(), 'top: failed');
});

browserTest('there is a lane for each worker, and a bar for each task that ran', async () => {
  assert.equal(await texts('.lane-name'), ['worker 1', 'worker 2']);
  assert.is(await page.locator('.bar').count(), 4);
  assert.is(await page.locator('.bar.failed').count(), 1);
  const [a, c] = [await bar('a').boundingBox(), await bar('c').boundingBox()];
  assert.ok(a !== null && c !== null && a.width > 0 && c.x >= a.x + a.width - 3);
  for (const lane of [0, 1]) assert.ok((await page.locator(`[data-lane="${lane}"] > .bar`).count()) > 0);
});

browserTest('the critical path is marked in timeline, graph and table', async () => {
  assert.match(await page.locator('#critical').innerText(), /^Critical path, marked: .* of .*: .*d \d/);
  const marked = await page.locator('.bar.critical').count();
  assert.ok(marked > 0);
  assert.is(await page.locator('#graph .node.critical').count(), marked);
  assert.is(await page.locator('#graph .edge.critical').count(), marked - 1);
  assert.is((await texts('#tasks tbody tr')).filter((row) => row.includes('critical')).length, marked);
});

browserTest('the graph has every task and its status, the table numbers, the failure its cause', async () => {
  for (const [found, number] of Object.entries({ '.node': 5, '.node.private.done': 1, '.edge.after': 1 }))
    assert.is(await page.locator(`#graph ${found}`).count(), number);
  assert.match((await texts('#tasks tbody tr')).join('\n'), /top.*not started because of d/);
  const cause = /failed with exit code 7\s+why: out of luck\s+top → d/;
  assert.match(await page.locator('#failures').innerText(), cause);
});

browserTest('a click on a bar shows the log of its task as it was printed', async () => {
  await bar('a').click();
  await heading('a');
  assert.is(await page.locator('.log .stdout span').first().textContent(), nasty);
  assert.is(await page.locator('.log img').count(), 0);
  assert.is(await bar('a').getAttribute('aria-pressed'), 'true');
  await page.locator('#detail .close').click();
  await page.locator('#detail').waitFor({ state: 'hidden' });
});

browserTest('nodes of the graph and rows of the table lead to the same log', async () => {
  await page.locator('#graph').getByRole('button', { name: 'd, failed' }).click();
  await page.locator('.log .stderr', { hasText: 'out of luck' }).waitFor();
  await page.locator('#tasks').getByRole('button', { name: 'top', exact: true }).click();
  await heading('top');
  assert.match(await page.locator('#detail .facts').innerText(), 'not started because of d');
  await page.goBack();
  await heading('d');
});

browserTest('the keyboard alone is enough', async () => {
  await bar('a').focus();
  const first = await focused();
  await page.keyboard.press('End');
  assert.match(await focused(), /^d, failed/);
  await page.keyboard.press('ArrowLeft');
  assert.match(await focused(), /^c, done/);
  await page.keyboard.press('Home');
  const before = await page.evaluate('document.activeElement.parentElement.dataset.lane');
  await page.keyboard.press(before === '0' ? 'ArrowDown' : 'ArrowUp');
  assert.is.not(await page.evaluate('document.activeElement.parentElement.dataset.lane'), before);
  await page.keyboard.press('Home');
  assert.ok([first, await focused()].every((label) => /^[ab], done/.test(label)));
  await page.keyboard.press('Enter');
  await page.locator('#detail').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#detail').waitFor({ state: 'hidden' });
  // One stop for all bars: the next one is the graph.
  await page.keyboard.press('Tab');
  assert.is(await page.evaluate('document.activeElement.closest("#graph") !== null'), true);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press(' ');
  await page.locator('#detail').waitFor();
});

browserTest('a column of the table sorts it', async () => {
  const names = () => page.locator('#tasks tbody .link').allInnerTexts();
  const head = page.locator('#tasks th', { hasText: 'task' });
  await head.getByRole('button').click();
  assert.equal(await names(), ['a', 'b', 'c', 'd', 'top']);
  await head.getByRole('button').click();
  assert.equal(await names(), ['top', 'd', 'c', 'b', 'a']);
  assert.is(await head.getAttribute('aria-sort'), 'descending');
});

browserTest('it can be read in light and dark, and on a narrow screen', async () => {
  const papers = new Set<unknown>();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    papers.add(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
    const { ink, paper } = (await page.evaluate(`(() => {
      const { color, backgroundColor } = getComputedStyle(document.querySelector('.log, body'));
      return { ink: color, paper: backgroundColor };
    })()`)) as { ink: string; paper: string };
    assert.ok(contrast(ink, paper) > 7, `${ink} on ${paper}`);
  }
  assert.is(papers.size, 2);
  await page.setViewportSize({ width: 420, height: 800 });
  await bar('a').click();
  const widest = await page.evaluate('document.documentElement.scrollWidth');
  assert.ok(Number(widest) <= 420, `${widest} pixels wide`);
});

browserTest('of a long critical path only the longest steps are named', async () => {
  const labels = Array.from({ length: 40 }, (_, place) => `step-${place}`);
  const tasks = labels.map((label, place) => {
    const startedAt = (place * (place + 1)) / 2;
    return ran(label, startedAt, startedAt + place + 1, { needs: place === 0 ? [] : [place - 1] });
  });
  const long = join(folder, 'long.html');
  const view = { title: 'long', nodes: [], edges: [] };
  writeFileSync(long, await reportPage(recordedRun(tasks), view));
  await page.goto(pathToFileURL(long).href);
  const text = await page.locator('#critical').innerText();
  assert.match(text, /: … → step-28 29 ms → .* → step-39 40 ms$/);
  assert.is(await page.locator('.bar.critical').count(), 40);
  assert.equal(complaints, []);
});

/** As WCAG reckons it, 1 to 21; colours as `rgb(1, 2, 3)`. */
function contrast(one: string, other: string): number {
  const luminance = (color: string): number => {
    const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map((digits) => {
      const share = Number(digits) / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((left, right) => left - right);
  return (light + 0.05) / (dark + 0.05);
}

test.run();
