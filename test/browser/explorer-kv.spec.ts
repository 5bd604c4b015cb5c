import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { join } from 'node:path';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { faultsOf } from '../support/accessibility.js';
import { startBrowser } from '../support/browser.js';
import { HANG_MS } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { requireProgram } from '../support/requires.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { longTest } from '../support/long-run.js';

const program = requireProgram('chromium');

program.describe('the explorer, on /kv and /batch', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let server: ServerProcess;
  let complaints: string[];

  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:' });
    browser = await startBrowser(program.path);
    // One for all pages: what the explorer loads is fetched and compiled once.
    context = await browser.newContext({ viewport: { width: 1280, height: 1600 } });
  });
  afterAll(async () => {
    await browser.close();
    await server.end();
  });
  beforeEach(async () => {
    page = await context.newPage();
    page.setDefaultTimeout(HANG_MS);
    complaints = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(`http://127.0.0.1:${server.port}/docs`);
  });
  afterEach(async () => {
    await page.close();
    expect(complaints).toEqual([]);
  });

  function operationOf(method: string, path: string): Locator {
    return page.locator(`.opblock-${method}`, {
      has: page.locator(`.opblock-summary-path[data-path="${path}"]`),
    });
  }

  /** Opens an operation, fills in `key` if there is one, and runs its example. */
  async function execute(
    method: string,
    path: string,
    key?: string,
  ): Promise<{ status: string; text: string }> {
    const operation = operationOf(method, path);
    await operation.locator('.opblock-summary-control').click();
    if (key !== undefined) await operation.locator('tr[data-param-name="key"] input').fill(key);
    await operation.getByRole('button', { name: 'Execute' }).click();
    const answer = operation.locator('.live-responses-table .response');
    await answer.waitFor();
    const { SCREENSHOTS } = process.env;
    if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `explorer-${method}.png`) });
    return {
      status: (await answer.locator('.response-col_status').innerText()).trim(),
      text: await answer.locator('.response-col_description').innerText(),
    };
  }

  longTest('stores under a key with slashes, reads it back, and deletes it', async () => {
    const key = 'example/a b/č';
    const url = `/kv/${encodeURIComponent(key)}`;
    expect((await execute('put', '/kv/{key}', key)).status).toBe('201');
    expect((await ask(server.port, url)).text).toContain('"Ada"');
    const read = await execute('get', '/kv/{key}', key);
    expect(read).toMatchObject({ status: '200' });
    expect(read.text).toContain('"name": "Ada"');
    expect((await execute('patch', '/kv/{key}', key)).text).toContain('"city": "London"');
    expect((await execute('delete', '/kv/{key}', key)).status).toBe('204');
    expect((await ask(server.port, url)).status).toBe(404);
  });

  longTest('shows what does something, in words without marks', async () => {
    await page.locator('.opblock').first().waitFor();
    const summaries = await page.locator('.opblock-summary').allInnerTexts();
    const methods = summaries.map((text) => text.split('\n')[0]!);
    expect(methods).not.toContain('OPTIONS');
    expect(summaries.join('')).not.toContain('`');
    const paths = summaries.map((text) => text.split('\n')[1]!);
    expect([...new Set(paths)]).toEqual([
      '/set',
      '/get',
      '/',
      '/kv/{key}',
      '/kv',
      '/batch',
      '/tokens',
      '/tokens/self',
      '/tokens/{id}',
      '/tokens/{id}/rotate',
      '/health/live',
      '/health/ready',
      '/metrics',
      '/stats',
      '/problems',
      '/problems/{code}',
    ]);
  });

  test('sends lines of JSON as they are, whichever of its types is chosen', async () => {
    const sent: (string | null)[] = [];
    page.on('request', (request) => {
      if (request.method() === 'POST') sent.push(request.postData());
    });
    const operation = operationOf('post', '/kv');
    await operation.locator('.opblock-summary-control').click();
    const choice = operation.locator('.opblock-section-request-body select.content-type');
    const types = await choice.locator('option').allInnerTexts();
    expect(types).toEqual(['application/x-ndjson', 'text/plain']);
    for (const type of types) {
      await choice.selectOption(type);
      const answered = page.waitForResponse((response) => response.request().method() === 'POST');
      await operation.getByRole('button', { name: 'Execute' }).click();
      expect((await answered).status()).toBe(200);
    }
    expect(sent[0]).toMatch(/^\{"key":"example\/grace",.*\}\n\{"key":"example\/pixel",.*\}\n$/);
    expect(sent[1]).toBe(sent[0]);
    await ask(server.port, '/kv?prefix=example/', { method: 'DELETE' });
  });

  longTest('imports, lists, and runs a batch', async () => {
    const imported = await execute('post', '/kv');
    expect(imported.text).toContain('"created": 2');
    expect((await execute('get', '/kv')).text).toContain('"key": "example/grace"');
    const batch = await execute('post', '/batch');
    expect(batch).toMatchObject({ status: '200' });
    expect(batch.text).toContain('"value": "Any text"');
    expect((await execute('delete', '/kv')).text).toContain('"deleted": 4');
  });

  test('HEAD and OPTIONS are folded away, and unfold', async () => {
    await page.locator('.opblock').first().waitFor();
    expect(await page.locator('.opblock-options').count()).toBe(0);
    await page.locator('#operations-tag-HEAD_and_OPTIONS').click();
    await page.locator('.opblock-options').first().waitFor();
  });

  test('a link to a folded operation opens it', async () => {
    await page.goto('about:blank');
    await page.goto(`http://127.0.0.1:${server.port}/docs#/HEAD%20and%20OPTIONS/headEntry`);
    await page.locator('.opblock-head.is-open').waitFor();
  });

  test.each(['light', 'dark'] as const)('the page is %s where the reader prefers it', async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await page.locator('.opblock').first().waitFor();
    const color = await page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
    const isDark = Math.max(...String(color).match(/\d+/g)!.slice(0, 3).map(Number)) < 64;
    expect({ color, isDark: isDark && !String(color).endsWith(', 0)') }).toMatchObject({
      isDark: colorScheme === 'dark',
    });
  });

  test.each(['light', 'dark'] as const)(
    'in %s every text stands out from what is behind it',
    async (colorScheme) => {
      await page.locator('.opblock').first().waitFor();
      expect(await faultsOf(page, colorScheme, ['color-contrast'])).toEqual([]);
    },
  );

  test('on a phone nothing is wider than the screen, and descriptions run in whole lines', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.locator('.opblock').first().waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    for (const text of await page.locator('.opblock-tag small').all()) {
      expect((await text.boundingBox())!.width).toBeGreaterThan(200);
    }
  });
});
