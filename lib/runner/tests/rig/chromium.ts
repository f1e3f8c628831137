import { type BrowserContext, chromium, type Page } from 'playwright-core';
import type { Test } from 'uvu';
import { findProgram } from '../../../../tests/rig/programs.ts';
import { temporaryFolder } from './folder.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Of the test that runs, see `useBrowser`. */
export let page: Page;
/** What the page asked for, itself included, and what it complained about. */
export const requests: string[] = [];
export const complaints: string[] = [];

/**
 * Gives each test of a file an empty page in a headless browser with a fresh profile that asks for nothing by itself.
 * That is the Chromium of CHROMIUM_PATH, else the first on PATH; without one, what is returned leaves tests out.
 */
export function useBrowser(test: Test): Test | Test['skip'] {
  const executablePath = findProgram('CHROMIUM_PATH', ...names);
  if (executablePath === undefined) {
    process.stdout.write('left out: pages in a browser, without Chromium (CHROMIUM_PATH, or on PATH)\n');
    return test.skip;
  }
  let context: BrowserContext;
  test.before(async () => {
    const viewport = { width: 1280, height: 900 };
    const options = { executablePath, headless: true, viewport };
    context = await chromium.launchPersistentContext(temporaryFolder(), options);
  });
  test.before.each(async () => {
    requests.length = 0;
    complaints.length = 0;
    page = await context.newPage();
    page.on('request', (request) => requests.push(request.url()));
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
  });
  test.after.each(() => page.close());
  test.after(() => context.close());
  return test;
}
