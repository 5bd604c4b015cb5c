import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser, BrowserContext } from 'playwright-core';
import { startBrowser } from '../../support/browser.js';
import { ConsolePage } from '../../support/console.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { requireProgram } from '../../support/requires.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';

const program = requireProgram('chromium');
const run = promisify(execFile);

const NOTE = '<img src=x onerror="stolen=1">';

program.describe('the console where tokens are needed', () => {
  let browser: Browser;
  let server: ServerProcess;
  let context: BrowserContext;
  let shown: ConsolePage;

  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:', ADMIN_TOKEN: ADMIN });
    browser = await startBrowser(program.path);
    await put('app1/colour', 'red');
    await put('other', '1');
  });
  afterAll(async () => {
    await browser.close();
    await server.end();
  });
  afterEach(async () => {
    expect(shown.complaints).toEqual([]);
    await context.close();
  });

  const put = (key: string, body: string) =>
    ask(server.port, `/kv?key=${encodeURIComponent(key)}`, { method: 'PUT', body, headers: bearer(ADMIN) });
  const revoke = (id: string) =>
    ask(server.port, `/tokens/${id}`, { method: 'DELETE', headers: bearer(ADMIN) });
  const isTaken = async (token: string) =>
    (await ask(server.port, '/tokens/self', { headers: bearer(token) })).status === 200;

  async function signIn(token: string): Promise<void> {
    context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
    shown = await ConsolePage.open(context, server.port);
    await shown.page.getByLabel('Token').fill(token);
    await shown.button('Sign in').click();
  }

  test('it asks for one, says when it is not taken, and has nothing of the database before', async () => {
    await signIn('not-a-token-of-this-server');
    await shown.page.getByRole('alert').waitFor();
    expect(await shown.page.content()).not.toContain('colour');
    await shown.page.getByLabel('Token').fill(ADMIN);
    await shown.button('Sign in').click();
    await shown.page.getByRole('option', { name: 'app1/' }).waitFor();
    await shown.page.reload();
    await shown.page.getByRole('option', { name: 'app1/' }).waitFor();
    await shown.button('Sign out').click();
    await shown.button('Sign in').waitFor();
    expect(await shown.page.evaluate('JSON.stringify(sessionStorage)')).not.toContain(ADMIN);
  });

  test('a token shows its namespace as the whole, offers only what it may do, and is noticed to end', async () => {
    const { token, id } = await issue(server.port, { namespace: 'app1/', can: ['read'] });
    await signIn(token);
    const { page } = shown;
    await page.getByRole('option', { name: 'colour' }).click();
    await page.getByRole('tabpanel').getByText('red').waitFor();
    expect(await page.locator('[role=option]').count()).toBe(1);
    expect(await page.getByRole('navigation', { name: 'Views' }).innerText()).toBe('Keys\nLive');
    for (const name of ['Edit', 'New']) expect(await shown.button(name).count()).toBe(0);
    await shown.untilLive();
    await put('app1/size', 'large');
    await put('other', '2');
    await page.getByRole('option', { name: 'size' }).waitFor();
    expect(await page.locator('[role=option]').count()).toBe(2);
    await revoke(id);
    await shown.button('Sign in').waitFor();
    expect(await page.evaluate('JSON.stringify(sessionStorage)')).not.toContain(token);
    expect(await page.content()).not.toContain('colour');
  });

  test('a token that writes on conditions only can make, change, rename and delete entries', async () => {
    const { token } = await issue(server.port, {
      namespace: 'app3/',
      can: ['read', 'write'],
      requireConditions: true,
    });
    await signIn(token);
    const { page, dialog } = shown;
    await shown.button('New').click();
    await dialog.getByLabel('Key').fill('doc');
    await dialog.getByLabel('Value').fill('1');
    await shown.button('Store').click();
    await page.getByLabel('One more').click();
    await page.getByRole('tabpanel').getByText('2', { exact: true }).waitFor();
    await shown.button('Edit').click();
    await shown.editor.fill('text');
    await page.keyboard.press('Control+s');
    await shown.button('Edit').waitFor();
    await shown.choose('Rename…');
    await dialog.getByLabel('New key').fill('paper');
    await dialog.getByRole('button', { name: 'Rename' }).click();
    await page.getByRole('heading', { name: 'paper' }).waitFor();
    const stored = await ask(server.port, '/kv/app3/paper', { headers: bearer(ADMIN) });
    expect(stored.text).toBe('text');
    await shown.choose('Delete…');
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('Nothing is stored yet').waitFor();
  });

  test('it makes tokens, whose secret is seen once, rotates and revokes them', async () => {
    await signIn(ADMIN);
    const { page, dialog } = shown;
    await page.getByRole('link', { name: 'Tokens' }).click();
    await shown.button('New token').click();
    await page.getByLabel('What for').fill(NOTE);
    await page.getByLabel('Namespace').fill('app2/');
    await shown.button('Make it').click();
    const secret = await page.locator('output').innerText();
    await shown.button('Copy').click();
    await page.getByText('Token copied').waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(secret);
    const self = await ask(server.port, '/tokens/self', { headers: bearer(secret) });
    expect(JSON.parse(self.text)).toMatchObject({ can: ['read', 'write'], note: NOTE });
    await shown.button('I have it').click();
    const row = page.getByRole('row', { name: /app2/ });
    await row.waitFor();
    expect(await page.content()).not.toContain(secret);
    const actOn = async (name: string) => {
      await page.getByLabel(/Actions for <img/).click();
      await shown.button(name).click();
    };
    await actOn('Rotate…');
    await dialog.getByRole('button', { name: 'Rotate' }).click();
    const rotated = await page.locator('output').innerText();
    await shown.button('I have it').click();
    expect([await isTaken(secret), await isTaken(rotated)]).toEqual([false, true]);
    await actOn('Revoke…');
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await row.waitFor({ state: 'detached' });
    expect(await isTaken(rotated)).toBe(false);
  });

  test('of a long list of tokens the last is acted on where it stands, and all of it is accessible', async () => {
    for (let i = 0; i < 40; i++)
      await issue(server.port, { namespace: 'app4/', can: ['read'], note: `n${i}` });
    await signIn(ADMIN);
    const { page, dialog } = shown;
    await page.getByRole('link', { name: 'Tokens' }).click();
    const last = page.locator('td summary').last();
    await last.click();
    await page.getByRole('button', { name: 'Rotate…' }).click({ trial: true });
    const [at, menu] = [
      await last.boundingBox(),
      await page.locator('.menu[open] .menu-items').boundingBox(),
    ];
    expect(menu!.y).toBeGreaterThanOrEqual(0);
    expect(menu!.y + menu!.height).toBeLessThanOrEqual(page.viewportSize()!.height);
    const isNear =
      Math.min(Math.abs(menu!.y + menu!.height - at!.y), Math.abs(at!.y + at!.height - menu!.y)) < 12;
    expect({ isNear }).toEqual({ isNear: true });
    await shown.expectAccessible();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
  });

  test('a token that may write, and nothing else, is told so', async () => {
    await signIn((await issue(server.port, { can: ['write'] })).token);
    await shown.page.getByRole('heading', { name: 'Nothing to show' }).waitFor();
    await shown.expectAccessible();
  });

  test('what is copied runs elsewhere, with the token where its place is marked', async () => {
    const key = `it's "odd" $HOME %41/ü`;
    await put(key, 'the value');
    await signIn(ADMIN);
    await shown.openKey(key);
    const copied = async (menu: string, name: string) => {
      await shown.page.locator(`summary[title=${menu}]`).click();
      await shown.button(name).click();
      await eventually(
        async () =>
          (await shown.page.locator('.notice').innerText()) === `${name.replace(/^Copy (as )?/, '')} copied`,
        'the copy',
      );
      return String(await shown.page.evaluate('navigator.clipboard.readText()'));
    };
    const cli = join(process.cwd(), 'dist/cli/pigeonhole.js');
    const environment = { ...process.env, NODE_OPTIONS: '', PIGEONHOLE_TOKEN: ADMIN };
    const shell = async (line: string) => {
      const { stdout } = await run(
        'sh',
        ['-c', `pigeonhole() { "${process.execPath}" "${cli}" "$@"; }\n${line}`],
        {
          env: environment,
        },
      );
      return stdout;
    };
    const node = async (text: string) => {
      const script = `const token = ${JSON.stringify(ADMIN)};\n${text}\nprocess.stdout.write(value);`;
      return (await run(process.execPath, ['--input-type=module', '-e', script], { env: environment }))
        .stdout;
    };
    const python = async (text: string) => {
      const script = `token = ${JSON.stringify(ADMIN)}\n${text}\nprint(value.decode(), end='')`;
      return (await run('python3', ['-c', script])).stdout;
    };
    expect(await shell(await copied('Copy', 'Copy as curl'))).toBe('the value');
    expect(await node(await copied('Copy', 'Copy as fetch'))).toBe('the value');
    expect(await python(await copied('Copy', 'Copy as Python'))).toBe('the value');
    expect(await shell(await copied('Copy', 'Copy as pigeonhole'))).toBe('the value');
    expect(await copied('Copy', 'Copy the key')).toBe(key);
    await shown.show('#/keys?prefix=app1/');
    await shown.page.getByRole('option', { name: 'colour' }).waitFor();
    expect(JSON.parse(await shell(await copied('More', 'Copy as curl'))).items[0].key).toBe('app1/colour');
    expect(JSON.parse(await node(await copied('More', 'Copy as fetch'))).items[0].key).toBe('app1/colour');
    expect(JSON.parse(await python(await copied('More', 'Copy as Python'))).items[0].key).toBe('app1/colour');
    expect(await shell(await copied('More', 'Copy as pigeonhole'))).toContain('app1/colour');
  });
});
