import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { faultsOf } from './accessibility.js';
import { startBrowser } from './browser.js';
import { HANG_MS } from './eventually.js';
import { ask, type Answer } from './http.js';
import { startBuilt, type Target } from './target.js';

const PHONE = { width: 390, height: 700 };

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

  /** Opens the console in a tab of a browser. */
  static async open(context: BrowserContext, port: number, hash = ''): Promise<ConsolePage> {
    const opened = new ConsolePage(await context.newPage(), context, port);
    await opened.go(hash);
    return opened;
  }

  /** Loads the console anew. */
  async go(hash = ''): Promise<void> {
    await this.page.goto('about:blank');
    await this.page.goto(`http://127.0.0.1:${this.port}/console${hash}`);
  }

  /** Shows something else, as a click on a link does. */
  async show(hash: string): Promise<void> {
    await this.page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  }

  /** Opens an entry by its key. */
  async openKey(key: string): Promise<void> {
    await this.show(`#/keys?${new URLSearchParams({ key }).toString()}`);
    await this.page.locator('.entry-pane .tabs').waitFor();
  }

  button(name: string): Locator {
    return this.page.getByRole('button', { name, exact: true });
  }

  get dialog(): Locator {
    return this.page.getByRole('dialog');
  }

  get editor(): Locator {
    return this.page.getByRole('textbox', { name: 'Value' });
  }

  /** Chooses from the menu of the entry that is open. */
  async choose(name: string): Promise<void> {
    await this.page.getByLabel('More of this entry').click();
    await this.button(name).click();
  }

  /** Waits until changes are seen as they happen. */
  async untilLive(): Promise<void> {
    await this.page.locator('.connection.live').waitFor();
  }

  /** Has axe-core look at what is shown, on a desktop and on a phone, in light and dark. */
  async expectAccessible(): Promise<void> {
    const desktop = this.page.viewportSize()!;
    for (const colorScheme of ['light', 'dark'] as const) await this.expectNothingFound(colorScheme);
    await this.page.setViewportSize(PHONE);
    try {
      for (const colorScheme of ['dark', 'light'] as const) await this.expectNothingFound(colorScheme);
    } finally {
      await this.page.setViewportSize(desktop);
    }
  }

  private async expectNothingFound(colorScheme: 'light' | 'dark'): Promise<void> {
    const found = await faultsOf(this.page, colorScheme);
    expect({ colorScheme, found }).toEqual({ colorScheme, found: [] });
  }
}

/** A server with the console in a browser, for all tests of a file. */
export interface Shown {
  readonly port: number;
  readonly browser: Browser;
  /** The tab that is there for every test. Its address is the list of all keys when a test begins. */
  readonly tab: ConsolePage;
  put(key: string, body: string | Buffer, type?: string): Promise<Answer>;
  /** The value of a key, or the status if there is none. */
  valueOf(key: string): Promise<string>;
}

export function pathOf(key: string): string {
  return `/kv?key=${encodeURIComponent(key)}`;
}

/** Shows the console to all tests of a file; each begins with an empty database, and none may make it complain. */
export function showConsole(
  executablePath: string,
  start: () => Promise<Target> = () => startBuilt({ DATABASE_URL: 'memory:' }),
  options: BrowserContextOptions = {},
): Shown {
  let server: Target;
  let browser: Browser;
  let tab: ConsolePage;
  beforeAll(async () => {
    [server, browser] = await Promise.all([start(), startBrowser(executablePath)]);
    tab = await ConsolePage.open(await browser.newContext(options), server.port);
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });
  beforeEach(async () => {
    await ask(server.port, '/kv?confirm=all', { method: 'DELETE' });
    await tab.show('#/keys');
  });
  afterEach(() => expect(tab.complaints.splice(0)).toEqual([]));
  return {
    get port() {
      return server.port;
    },
    get browser() {
      return browser;
    },
    get tab() {
      return tab;
    },
    put: (key, body, type = 'text/plain; charset=utf-8') =>
      ask(server.port, pathOf(key), { method: 'PUT', body, headers: { 'Content-Type': type } }),
    valueOf: async (key) => {
      const { status, text } = await ask(server.port, pathOf(key));
      return status === 200 ? text : String(status);
    },
  };
}
