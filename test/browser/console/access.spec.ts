import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { startBrowser } from '../../support/browser.js';
import { ConsolePage } from '../../support/console.js';
import { ask } from '../../support/http.js';
import { requireProgram } from '../../support/requires.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';

const program = requireProgram('chromium');

program.describe('the console where tokens are needed', () => {
  let browser: Browser;
  let server: ServerProcess;
  let shown: ConsolePage;

  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:', ADMIN_TOKEN: ADMIN });
    browser = await startBrowser(program.path);
    await ask(server.port, '/kv/app1/colour', { method: 'PUT', body: 'red', headers: bearer(ADMIN) });
    await ask(server.port, '/kv/other', { method: 'PUT', body: '1', headers: bearer(ADMIN) });
  });
  afterAll(async () => {
    await browser.close();
    await server.end();
  });
  afterEach(async () => {
    expect(shown.complaints).toEqual([]);
    await shown.context.close();
  });

  async function signIn(token: string): Promise<void> {
    shown = await ConsolePage.open(browser, server.port);
    await shown.page.getByLabel('Token').fill(token);
    await shown.page.getByRole('button', { name: 'Sign in' }).click();
  }

  test('it asks for one, says when it is not taken, and has nothing of the database before', async () => {
    await signIn('not-a-token-of-this-server');
    await shown.page.getByRole('alert').waitFor();
    await shown.expectAccessible();
    expect(await shown.page.content()).not.toContain('colour');
  });

  test('a token shows its namespace as the whole, and offers only what it may do', async () => {
    const { token, id } = await issue(server.port, { namespace: 'app1/', can: ['read'] });
    await signIn(token);
    await shown.page.getByRole('option', { name: 'colour' }).click();
    await shown.page.getByRole('tabpanel').getByText('red').waitFor();
    expect(await shown.page.locator('[role=option]').count()).toBe(1);
    expect(await shown.page.getByRole('navigation', { name: 'Views' }).innerText()).toBe('Keys\nLive');
    for (const name of ['Edit', 'New']) {
      expect(await shown.page.getByRole('button', { name, exact: true }).count()).toBe(0);
    }
    await ask(server.port, `/tokens/${id}`, { method: 'DELETE', headers: bearer(ADMIN) });
    await shown.page.getByRole('button', { name: 'Sign in' }).waitFor();
    expect(await shown.page.evaluate('JSON.stringify(sessionStorage)')).not.toContain(token);
  });

  test('it makes tokens, whose secret is seen once, and revokes them', async () => {
    await signIn(ADMIN);
    const { page } = shown;
    await page.getByRole('link', { name: 'Tokens' }).click();
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByLabel('What for').fill('<img src=x onerror="stolen=1">');
    await page.getByLabel('Namespace').fill('app2/');
    await page.getByRole('button', { name: 'Make it' }).click();
    const secret = await page.locator('output').innerText();
    const self = await ask(server.port, '/tokens/self', { headers: bearer(secret) });
    expect(JSON.parse(self.text)).toMatchObject({
      can: ['read', 'write'],
      note: '<img src=x onerror="stolen=1">',
    });
    await page.getByRole('button', { name: 'I have it' }).click();
    await page.getByRole('row', { name: /app2/ }).waitFor();
    await shown.expectAccessible();
    await page.getByLabel(/Actions for <img/).click();
    await page.getByRole('button', { name: 'Revoke…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('row', { name: /app2/ }).waitFor({ state: 'detached' });
    expect((await ask(server.port, '/tokens/self', { headers: bearer(secret) })).status).toBe(401);
  });
});
