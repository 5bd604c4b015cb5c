import { chromium, type Browser } from 'playwright-core';
import { HANG_MS } from './eventually.js';

/** Starts a browser that shows no window. @param more switches of its command line */
export function startBrowser(executablePath: string, ...more: readonly string[]): Promise<Browser> {
  const args = ['--no-sandbox', '--disable-gpu', ...more];
  return chromium.launch({ executablePath, args, timeout: HANG_MS });
}
