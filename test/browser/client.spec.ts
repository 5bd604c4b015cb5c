import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import ts from 'typescript';
import { RULES } from '../e2e/client/rules.js';
import { startBrowser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { requireProgram } from '../support/requires.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { ADMIN } from '../support/tokens.js';

const program = requireProgram('chromium');

/** Serves an empty page, the built client, and the rules, which ask for the client where it is. */
async function servePage(): Promise<Server> {
  const { outputText: rules } = ts.transpileModule(
    readFileSync(join(import.meta.dirname, '../e2e/client/rules.ts'), 'utf8'),
    { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } },
  );
  const pages: Record<string, string> = {
    '/': '',
    '/rules.js': rules.replace(/'[^']*\/client\//, "'/client/"),
  };
  const server = createServer(({ url }, response) => {
    if (!url!.startsWith('/client/') && pages[url!] === undefined) return response.writeHead(404).end();
    const text = pages[url!] ?? readFileSync(join(process.cwd(), 'dist', url!), 'utf8');
    return response.setHeader('Content-Type', url === '/' ? 'text/html' : 'text/javascript').end(text);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server;
}

program.describe('the client in a browser, on a page of another origin', () => {
  let browser: Browser;
  let page: Page;
  let pages: Server;
  let server: ServerProcess;
  let proxy: TcpProxy;

  beforeAll(async () => {
    pages = await servePage();
    const origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
    server = await startServer({ DATABASE_URL: 'memory:', ADMIN_TOKEN: ADMIN, CORS_ORIGINS: origin });
    proxy = await startTcpProxy(server.port);
    browser = await startBrowser(program.path);
    page = await browser.newPage();
    await page.goto(origin);
    await page.evaluate(
      async ([url, token]) => {
        const { Pigeonhole } = (await import('/client/pigeonhole.js' as string)) as Client;
        const { RULES: rules } = (await import('/rules.js' as string)) as { RULES: object };
        Object.assign(globalThis, { db: new Pigeonhole(url!, { token }), rules, told: [] });
      },
      [`http://127.0.0.1:${proxy.port}`, ADMIN],
    );
  });
  afterAll(async () => {
    await browser.close();
    await server.end();
    pages.close();
  });

  test.each(Object.keys(RULES))('%s', async (name) => {
    await page.evaluate((each) => {
      const { db, rules } = globalThis as unknown as Globals;
      return rules[each]!(db);
    }, name);
  });

  test('is refused without a token, and says so', async () => {
    const code = await page.evaluate(async () => {
      const { db } = globalThis as unknown as Globals;
      const { Pigeonhole } = (await import('/client/pigeonhole.js' as string)) as Client;
      return new Pigeonhole(db.url).info('a').catch((error: { code: string }) => error.code);
    });
    expect(code).toBe('unauthenticated');
  });

  test('goes on with a watch after a lost connection, and tells each change once', async () => {
    await page.evaluate(() => {
      const { db, told } = globalThis as unknown as Globals;
      void (async () => {
        for await (const event of db.watch({ prefix: ['live/', 'other/'], key: 'one' }))
          told.push('key' in event ? `${event.kind} ${event.key}` : event.kind);
      })();
    });
    const heard = () => page.evaluate(() => (globalThis as unknown as Globals).told);
    const store = (key: string) =>
      fetch(`http://127.0.0.1:${server.port}/kv/${key}`, {
        method: 'PUT',
        headers: { Authorization: `Bearer ${ADMIN}` },
        body: 'x',
      });
    await eventually(async () => (await heard()).includes('ready'));
    for (const key of ['live/1', 'live/2', 'live/3']) {
      proxy.drop();
      await store(key);
      proxy.restore();
      await eventually(async () => (await heard()).includes(`put ${key}`));
    }
    const changes = (await heard()).filter((line) => line !== 'ready');
    expect(changes).toEqual(['put live/1', 'put live/2', 'put live/3']);
  });
});

type Client = typeof import('../../src/client/pigeonhole.js');

/** What the page keeps. */
interface Globals {
  readonly db: InstanceType<Client['Pigeonhole']>;
  readonly rules: typeof RULES;
  readonly told: string[];
}
