import { type BrowserContext, chromium } from 'playwright-core';
import { findProgram } from '../../../../tests/rig/programs.ts';
import { temporaryFolder } from './folder.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The Chromium of this machine: that of CHROMIUM_PATH, else the first on PATH. Undefined when there is none. */
export const findChromium = (): string | undefined => findProgram('CHROMIUM_PATH', ...names);

export type Browser = { readonly context: BrowserContext; readonly close: () => Promise<void> };

/** A headless browser with a fresh profile that asks for nothing by itself. */
export async function openChromium(executablePath: string): Promise<Browser> {
  const context = await chromium.launchPersistentContext(temporaryFolder(), {
    executablePath,
    headless: true,
    viewport: { width: 1280, height: 900 },
  });
  return { context, close: () => context.close() };
}
