import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Status } from '../../lib/operations/status.ts';
import { statusPage } from '../../lib/operations/status-text.ts';
import { complaints, page, requests, useBrowser } from '../../lib/runner/tests/rig/chromium.ts';
import { temporaryFolder } from '../../lib/runner/tests/rig/folder.ts';

/* The page of `status --html`, opened from its file in a real browser. */

const browserTest = useBrowser(test);
const nasty = `</td><img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`;
const status: Status = {
  environment: 'development',
  provider: 'embedded',
  cluster: { state: 'running', kubernetesVersion: 'v1.31.0', nodes: [] },
  faults: [],
  releases: [],
  notInstalled: [],
  vault: null,
  database: null,
  certificates: [],
  unreadyPods: [],
};

browserTest('the page shows every row, asks for nothing, and fits narrow and wide windows', async () => {
  const rows = [
    { name: 'cluster', text: 'running, 3 of 3 nodes ready' },
    { name: 'pod', text: nasty, tone: 'bad' as const },
    { name: 'failure', text: `.state/${'x'.repeat(200)}` },
  ];
  const file = join(temporaryFolder(), 'status.html');
  writeFileSync(file, await statusPage(status, rows, new Date('2031-05-02T10:00:00Z')));
  await page.goto(pathToFileURL(file).href);
  assert.is(await page.title(), 'development: running');
  assert.is(await page.locator('h1').innerText(), 'Environment development: running');
  assert.equal(
    await page.locator('tr').evaluateAll((found) => found.map((row) => row.textContent)),
    rows.map(({ name, text }) => name + text),
  );
  assert.match(await page.locator('p').innerText(), 'Fri, 02 May 2031 10:00:00 GMT');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const styles = ['td', '.bad td', 'body'].map((selector) =>
      page.evaluate<string>(
        `getComputedStyle(document.querySelector('${selector}')).${selector === 'body' ? 'backgroundColor' : 'color'}`,
      ),
    );
    const colours = await Promise.all(styles);
    assert.is(new Set(colours).size, 3, colorScheme);
  }
  for (const width of [360, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
    assert.ok(overflow <= 0, `${width}: ${overflow}`);
  }
  assert.equal([requests.length, complaints], [1, []]);
});

test.run();
