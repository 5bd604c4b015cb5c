import { expect } from '@jest/globals';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { HANG_MS } from './eventually.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The console in a browser, and whatever it complains of: errors, refused requests, violations of its policy. */
export class ConsolePage {
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    readonly context: BrowserContext,
    private readonly port: number,
  ) {
    page.setDefaultTimeout(HANG_MS);
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      // That an answer is an error is told there too, and errors are part of what is tested.
      if (message.type() === 'error' && !message.text().includes('Failed to load resource'))
        this.complaints.push(message.text());
    });
  }

  /** Opens the console as a browser of its own would, or in the browser of another page of it. */
  static async open(browser: Browser | BrowserContext, port: number, hash = ''): Promise<ConsolePage> {
    const context = 'newContext' in browser ? await browser.newContext() : browser;
    const opened = new ConsolePage(await context.newPage(), context, port);
    await opened.go(hash);
    return opened;
  }

  async go(hash: string): Promise<void> {
    await this.page.goto('about:blank');
    await this.page.goto(`http://127.0.0.1:${this.port}/console${hash}`);
  }

  /** Opens an entry by its key. */
  async openKey(key: string): Promise<void> {
    await this.go(`#/keys?${new URLSearchParams({ key }).toString()}`);
  }

  /** What axe-core finds, in light and in dark; it is run from outside of the page, whose policy does not let it in. */
  async expectAccessible(): Promise<void> {
    for (const colorScheme of ['light', 'dark'] as const) {
      await this.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await this.page.evaluate(AXE);
      const found = await this.page.evaluate(
        `axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ' ' + nodes.map(({ html }) => html).join()))`,
      );
      expect({ colorScheme, found }).toEqual({ colorScheme, found: [] });
    }
  }
}
