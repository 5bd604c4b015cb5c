import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { startBrowser } from '../support/browser.js';
import { HANG_MS } from '../support/eventually.js';
import { requireProgram } from '../support/requires.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { ADMIN, issue } from '../support/tokens.js';

const program = requireProgram('chromium');

program.describe('a browser that has to sign in', () => {
  let browser: Browser;
  let server: ServerProcess;
  let token: string;

  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:', ADMIN_TOKEN: ADMIN });
    ({ token } = await issue(server.port, { namespace: 'app1/', can: ['read', 'write'] }));
    browser = await startBrowser(program.path);
  });
  afterAll(async () => {
    await browser.close();
    await server.end();
  });

  test('does so in the explorer, whose requests then have the token', async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(HANG_MS);
    await page.goto(`http://127.0.0.1:${server.port}/docs`);
    await page.locator('.btn.authorize').click();
    const dialog = page.locator('.auth-container', { hasText: 'Bearer' });
    await dialog.locator('input').fill(token);
    await dialog.getByRole('button', { name: 'Apply credentials' }).click();
    await page.locator('.close-modal').click();
    const operation = page.locator('#operations-Tokens-describeSelf');
    await operation.locator('.opblock-summary-control').click();
    await operation.getByRole('button', { name: 'Execute' }).click();
    const answer = operation.locator('.live-responses-table .response');
    await answer.waitFor();
    expect((await answer.locator('.response-col_status').innerText()).trim()).toBe('200');
    expect(await answer.locator('.response-col_description').innerText()).toContain('"write"');
    await page.close();
  });

  test('is asked for a password by its own prompt, and shows the namespace of that token', async () => {
    const context = await browser.newContext({ httpCredentials: { username: '', password: token } });
    const page = await context.newPage();
    page.setDefaultTimeout(HANG_MS);
    await page.goto(`http://127.0.0.1:${server.port}/set?colour=red`);
    await page.goto(`http://127.0.0.1:${server.port}/`);
    expect(await page.locator('body').innerText()).toBe('{"colour":"red"}');
    await context.close();
  });
});
