import { afterAll, beforeAll, expect, test } from '@jest/globals';
import http from 'node:http';
import { networkInterfaces } from 'node:os';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { certificate } from '../support/certificates.js';
import { startBrowser } from '../support/browser.js';
import { HANG_MS } from '../support/eventually.js';
import { shortOrLong } from '../support/long-run.js';
import { requireProgram } from '../support/requires.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { ADMIN } from '../support/tokens.js';

const program = requireProgram('chromium');

/** Names that the browser finds on this machine: that of the server, and that of a page which is not its own. */
const [OURS, FOREIGN] = ['kv.example.com', 'evil.example'];
const RULES = `MAP ${OURS} 127.0.0.1, MAP ${FOREIGN} 127.0.0.1`;

/** An address of this machine that is not loopback, and for whose plain http browsers say less. */
const address = Object.values(networkInterfaces())
  .flat()
  .find((each) => each?.family === 'IPv4' && !each.internal)?.address;

program.describe('a password that the browser remembers', () => {
  let browser: Browser;
  let plain: ServerProcess;
  let encrypted: ServerProcess;
  let foreign: http.Server;

  beforeAll(async () => {
    const settings = { ADMIN_TOKEN: ADMIN, DATABASE_URL: 'memory:', ALLOWED_HOSTS: OURS };
    const { cert, key } = certificate();
    [plain, encrypted] = await Promise.all([
      startServer({ ...settings, HOST: '0.0.0.0' }),
      startServer({ ...settings, TLS_CERT: cert, TLS_KEY: key }),
    ]);
    foreign = http.createServer((_, response) =>
      response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>elsewhere</title>'),
    );
    await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
    browser = await startBrowser(program.path, '--disable-quic', `--host-resolver-rules=${RULES}`);
  });
  afterAll(async () => {
    await browser?.close();
    foreign.close();
    await Promise.all([plain, encrypted].map((server) => server.end()));
  });

  const servers: [name: string, origin: () => string, typed: number][] = [
    ['on loopback', () => `http://localhost:${plain.port}`, 201],
    ['over https', () => `https://${OURS}:${encrypted.port}`, 201],
    ['over plain http under a name', () => `http://${OURS}:${plain.port}`, 403],
  ];
  if (address !== undefined)
    servers.push(['over plain http at an address', () => `http://${address}:${plain.port}`, 403]);

  // Where browsers say least.
  const inShort = servers.filter(([, , typed]) => typed === 403).slice(0, 1);

  test.each(shortOrLong(inShort, servers))(
    'lets no page of another site write, %s',
    async (_, originOf, typed) => {
      const origin = originOf();
      const context = await newContext(browser);
      // The prompt of the browser, answered once: from then on it sends the password by itself.
      const own = await context.newPage();
      const before = await stored(own, origin);
      const page = await context.newPage();
      await page.goto(`http://${FOREIGN}:${(foreign.address() as AddressInfo).port}/`);
      const statuses = await attack(page, origin);
      // The password is sent, and is not what is refused.
      expect(statuses).toContain(403);
      for (const status of statuses) expect(status).toBeGreaterThanOrEqual(400);
      expect(await stored(own, origin)).toEqual(before);
      // What the user types.
      const answer = await own.goto(`${origin}/set?typed=1`);
      expect(answer!.status()).toBe(typed);
      expect(await stored(own, origin)).toEqual(typed === 403 ? before : { ...before, typed: '1' });
      await context.close();
    },
  );
});

async function newContext(browser: Browser): Promise<BrowserContext> {
  const httpCredentials = { username: '', password: ADMIN, send: 'unauthorized' } as const;
  const context = await browser.newContext({ httpCredentials, ignoreHTTPSErrors: true });
  context.setDefaultTimeout(HANG_MS);
  return context;
}

async function stored(page: Page, origin: string): Promise<object> {
  const answer = await page.goto(`${origin}/`);
  expect(answer!.status()).toBe(200);
  return (await answer!.json()) as object;
}

const ATTACK = `async (target) => {
  for (const referrerPolicy of ['', 'no-referrer']) {
    await new Promise((resolve) => {
      const image = new Image();
      image.onload = image.onerror = resolve;
      image.referrerPolicy = referrerPolicy;
      image.src = target + '/set?image=' + referrerPolicy;
    });
    const send = (path, method, more) =>
      fetch(target + path, { mode: 'no-cors', credentials: 'include', referrerPolicy, method, ...more }).catch(() => undefined);
    const body = '{"ops":[{"op":"put","key":"k","value":"v"}]}';
    await send('/set?fetched=1', 'GET');
    for (const path of ['/kv', '/batch', '/tokens']) await send(path, 'POST', { body });
    await send('/kv/put', 'PUT', { mode: 'cors', body });
  }
}`;
const SUBMIT = `(action, method) => {
  document.body.innerHTML = '<form enctype="text/plain"><input name="form" value="1"></form>';
  const [form] = document.forms;
  Object.assign(form, { action, method });
  form.submit();
}`;

/** Has a page try what pages can. Returns the statuses that it got from `origin`, but for what browsers ask before. */
async function attack(page: Page, origin: string): Promise<number[]> {
  const statuses: number[] = [];
  page.on('response', (response) => {
    if (response.url().startsWith(origin) && response.request().method() !== 'OPTIONS')
      statuses.push(response.status());
  });
  await page.evaluate(`(${ATTACK})(${JSON.stringify(origin)})`);
  for (const [method, path] of [
    ['get', '/set'],
    ['post', '/kv'],
  ] as const) {
    const submitted = await page.context().newPage();
    await submitted.goto(page.url());
    const answered = submitted.waitForResponse((response) => response.url().startsWith(origin + path));
    await submitted.evaluate(`(${SUBMIT})(${JSON.stringify(origin + path)}, '${method}')`);
    statuses.push((await answered).status());
    await submitted.close();
  }
  return statuses;
}
