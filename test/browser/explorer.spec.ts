import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import http, { type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser, BrowserContext, Locator, Page, Request } from 'playwright-core';
import { startBrowser } from '../support/browser.js';
import { eventually, HANG_MS } from '../support/eventually.js';
import { ask, setPath } from '../support/http.js';
import { requireProgram } from '../support/requires.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const program = requireProgram('chromium');

program.describe('in a browser', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let server: ServerProcess;
  /** What the page complains of: errors on its console, refused requests, uncaught exceptions. */
  let complaints: string[];

  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:' });
    browser = await startBrowser(program.path);
  });
  afterAll(async () => {
    await browser.close();
    await server.end();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    page = await context.newPage();
    page.setDefaultTimeout(HANG_MS);
    complaints = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('requestfailed', (request) => complaints.push(request.url()));
  });
  afterEach(() => context.close());

  const ours = (path: string) => `http://127.0.0.1:${server.port}${path}`;
  const stored = async () => JSON.parse((await ask(server.port, '/')).text) as Record<string, string>;

  /** Opens an operation of the explorer and runs its example. */
  async function execute(path: string): Promise<Locator> {
    const operation = page.locator('.opblock-get', {
      has: page.locator(`.opblock-summary-path[data-path="${path}"]`),
    });
    await operation.locator('.opblock-summary-control').click();
    await operation.getByRole('button', { name: 'Execute' }).click();
    const answer = operation.locator('.live-responses-table');
    await answer.waitFor();
    return answer;
  }

  test('the explorer runs the examples, and complains of nothing', async () => {
    const loaded: string[] = [];
    page.on('request', (request) => loaded.push(request.url()));
    await page.goto(ours('/docs'));

    const set = await execute('/set');
    expect(await set.locator('.response .response-col_status').innerText()).toContain('201');
    expect(await stored()).toEqual({ somekey: 'somevalue' });

    const get = await execute('/get');
    expect(await get.locator('.response .response-col_status').innerText()).toContain('200');
    expect(await get.locator('.response .response-col_description').innerText()).toContain(
      '"somekey": "somevalue"',
    );

    const everything = await execute('/');
    expect(await everything.innerText()).toContain('"somekey": "somevalue"');
    await page.screenshot({ path: join(process.env['SCREENSHOTS'] ?? temporaryFolder(), 'explorer.png') });

    expect(complaints).toEqual([]);
    expect(loaded.filter((url) => !url.startsWith(ours('/')) && !/^(data|blob):/.test(url))).toEqual([]);
  });

  test('a stored script does not run as a script of the explorer', async () => {
    await ask(server.port, setPath('x', 'window.stolen = 1'));
    await page.goto(ours('/docs'));
    await page.evaluate(`{
      const script = document.createElement('script');
      script.src = '/get?key=x';
      document.body.append(script);
    }`);
    await eventually(() => complaints.join().includes('Content Security Policy'), 'a complaint');
    expect(await page.evaluate('window.stolen')).toBeUndefined();
  });

  test('typing a URL into the address bar stores the pair and shows it', async () => {
    const answer = await page.goto(ours('/set?typed=by+hand'));
    expect(answer?.status()).toBe(201);
    expect(await page.locator('body').innerText()).toContain('{"typed":"by hand"}');
    expect(await stored()).toMatchObject({ typed: 'by hand' });
  });

  test('going back to it later does not write again', async () => {
    await page.goto(ours('/set?back=first'));
    await page.goto(ours('/'));
    await ask(server.port, setPath('back', 'second'));
    await page.goBack();
    expect(await stored()).toMatchObject({ back: 'second' });
  });

  program.describe('a page of another origin', () => {
    let foreign: Server;
    let html: string;
    beforeEach(async () => {
      foreign = http.createServer((_request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/html' }).end(html);
      });
      await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
    });
    afterEach(() => {
      foreign.closeAllConnections();
      foreign.close();
    });

    const theirs = (host = '127.0.0.1') => `http://${host}:${(foreign.address() as AddressInfo).port}/`;

    /** The end of a request of the page, whether or not the browser shows the page its answer. */
    function requestOver(url: string): Promise<unknown> {
      const isIt = (request: Request) => request.url() === url;
      return Promise.race([
        page.waitForEvent('requestfinished', isIt),
        page.waitForEvent('requestfailed', isIt),
      ]);
    }

    test.each([
      ['an image', (url: string) => `<img src="${url}">`],
      ['a script', (url: string) => `<script src="${url}"></script>`],
      ['a style', (url: string) => `<link rel="stylesheet" href="${url}">`],
      ['a frame', (url: string) => `<iframe src="${url}"></iframe>`],
      ['a prefetch', (url: string) => `<link rel="prefetch" href="${url}">`],
      ['a fetch', (url: string) => `<script>fetch('${url}', { mode: 'no-cors' })</script>`],
      ['a redirect', (url: string) => `<meta http-equiv="refresh" content="0; url=${url}">`],
      [
        'a form',
        (url: string) => `<form action="${url}"><input name="k" value="v"></form>
        <script>document.forms[0].submit()</script>`,
      ],
    ])('writes nothing by %s', async (_name, element) => {
      for (const host of ['127.0.0.1', 'localhost']) {
        html = `<!doctype html><link rel="icon" href="data:,">${element(ours('/set?k=v'))}`;
        const over = requestOver(ours('/set?k=v'));
        // Some of these leave the page before it has loaded.
        await page.goto(theirs(host)).catch(() => undefined);
        await over;
        expect(await stored()).not.toHaveProperty('k');
      }
    });

    test('writes nothing by a link, and the answer says how to do it on purpose', async () => {
      html = `<!doctype html><a href="${ours('/set?k=v')}">a link</a>`;
      await page.goto(theirs());
      await page.getByText('a link').click();
      await page.waitForURL(ours('/set?k=v'));
      expect(await page.locator('body').innerText()).toContain('address bar');
      expect(await stored()).not.toHaveProperty('k');
    });

    test('reads nothing', async () => {
      await ask(server.port, setPath('secret', 's'));
      html = '<!doctype html>';
      await page.goto(theirs());
      const read = (mode: string) =>
        page.evaluate(
          `fetch('${ours('/')}', { mode: '${mode}' }).then((answer) => answer.text(), () => 'refused')`,
        );
      expect(await read('cors')).toBe('refused');
      expect(await read('no-cors')).not.toContain('secret');
    });
  });
});
