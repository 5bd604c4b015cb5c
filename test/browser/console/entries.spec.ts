import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { startBrowser } from '../../support/browser.js';
import { ConsolePage } from '../../support/console.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { requireProgram } from '../../support/requires.js';
import { startServer, type ServerProcess } from '../../support/server.js';

const program = requireProgram('chromium');

const HOSTILE = '<img src=x onerror="window.stolen=1"><script>window.stolen=1</script>';
/** Keys that something between a click and the store could change. */
const ANY_KEYS = [
  '.',
  '..',
  'a/../b',
  '/',
  'a//',
  ' ',
  '+%2B&=#?',
  '\u0000',
  'line\r\nend',
  '__proto__',
  '\u202eabc',
  '\ufeff',
  'é',
  'e\u0301',
  '🕊️',
  '\uffff',
  'x'.repeat(1024),
  HOSTILE,
];

program.describe('entries in the console', () => {
  let browser: Browser;
  let server: ServerProcess;
  let shown: ConsolePage;

  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:' });
    browser = await startBrowser(program.path);
  });
  afterAll(async () => {
    await browser.close();
    await server.end();
  });
  beforeEach(async () => {
    await ask(server.port, '/kv?confirm=all', { method: 'DELETE' });
  });
  afterEach(async () => {
    expect(shown.complaints).toEqual([]);
    await shown.context.close();
  });

  const pathOf = (key: string) => `/kv?key=${encodeURIComponent(key)}`;
  const put = (key: string, body: string | Buffer, type = 'text/plain; charset=utf-8') =>
    ask(server.port, pathOf(key), { method: 'PUT', body, headers: { 'Content-Type': type } });
  const textOf = async (key: string) => (await ask(server.port, pathOf(key))).text;
  const editor = () => shown.page.getByRole('textbox', { name: 'Value' });
  const button = (name: string) => shown.page.getByRole('button', { name, exact: true });
  async function choose(name: string): Promise<void> {
    await shown.page.getByLabel('More of this entry').click();
    await button(name).click();
  }

  test('an empty database shows how to fill it, and what is stored shows up by itself', async () => {
    shown = await ConsolePage.open(browser, server.port);
    await shown.page.getByText('Nothing is stored yet').waitFor();
    await shown.page.getByText('Live', { exact: true }).last().waitFor();
    await shown.expectAccessible();
    await put('hello', 'world');
    await shown.page.getByRole('option', { name: 'hello' }).waitFor();
    await ask(server.port, '/kv/hello', { method: 'DELETE' });
    await shown.page.getByText('Nothing is stored yet').waitFor();
  });

  test('folders are opened and left by the keyboard, and Back leads where one was', async () => {
    for (const key of ['a', 'user/1', 'user/2']) await put(key, '1');
    shown = await ConsolePage.open(browser, server.port);
    const { page } = shown;
    await page.getByRole('option', { name: 'user/' }).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('option', { name: '2', exact: false }).first().waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'user/1' }).waitFor();
    await page.goBack();
    await page.getByText('Choose a key').waitFor();
    await page.goBack();
    await page.getByRole('option', { name: 'user/' }).waitFor();
  });

  test('JSON is shown with every digit, every member that occurs twice, and in its order', async () => {
    const text = '{"z":12345678901234567890,"a":1.50,"z":1e400}';
    await put('numbers', text, 'application/json');
    shown = await ConsolePage.open(browser, server.port);
    await shown.openKey('numbers');
    const value = shown.page.getByRole('tabpanel');
    await eventually(async () => (await value.innerText()).includes('z'), 'the value');
    expect(await value.innerText()).toContain(
      '{\n  "z": 12345678901234567890,\n  "a": 1.50,\n  "z": 1e400\n}',
    );
    await shown.expectAccessible();
  });

  test('any key opens, is edited and is deleted', async () => {
    shown = await ConsolePage.open(browser, server.port);
    for (const key of ANY_KEYS) {
      await put(key, 'before');
      await shown.openKey(key);
      await button('Edit').click();
      await editor().fill(`after ${key === '\u0000' ? '' : key}`.slice(0, 50));
      await shown.page.keyboard.press('Control+s');
      await button('Edit').waitFor();
      expect(await textOf(key)).toMatch(/^after /);
      await choose('Delete…');
      await shown.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await shown.page.getByText('Choose a key').waitFor();
      expect((await ask(server.port, pathOf(key))).status).toBe(404);
    }
  });

  test('what is stored as markup is text, wherever it is shown', async () => {
    await put(HOSTILE, HOSTILE, 'text/html');
    await put('svg', `<svg xmlns="http://www.w3.org/2000/svg" onload="window.stolen=1"/>`, 'image/svg+xml');
    shown = await ConsolePage.open(browser, server.port);
    await shown.page.evaluate(
      `addEventListener('securitypolicyviolation', ({ violatedDirective }) => console.error(violatedDirective))`,
    );
    await shown.page.getByRole('option', { name: /onerror/ }).waitFor();
    await shown.openKey(HOSTILE);
    await eventually(
      async () => (await shown.page.getByRole('tabpanel').innerText()).includes('onerror'),
      'value',
    );
    await shown.openKey('svg');
    await shown.page.getByRole('img', { name: /The value of/ }).waitFor({ state: 'attached' });
    expect(await shown.page.evaluate('window.stolen')).toBeUndefined();
  });

  test('of two who edit one key the second sees both texts, and saves what both have changed', async () => {
    await put('doc', 'one\ntwo\nthree');
    shown = await ConsolePage.open(browser, server.port);
    await shown.openKey('doc');
    await button('Edit').click();
    await editor().fill('ONE\ntwo\nthree');
    await put('doc', 'one\ntwo\nTHREE');
    await shown.page.getByText('was changed elsewhere').waitFor();
    expect(await editor().inputValue()).toBe('ONE\ntwo\nthree');
    await shown.page.keyboard.press('Control+s');
    await shown.page.getByRole('heading', { name: /changed the entry meanwhile/ }).waitFor();
    await shown.expectAccessible();
    expect(await textOf('doc')).toBe('one\ntwo\nTHREE');
    await button('Save').click();
    await button('Edit').waitFor();
    expect(await textOf('doc')).toBe('ONE\ntwo\nTHREE');
  });

  test('line ends, expiry and type outlive an edit', async () => {
    await ask(server.port, '/kv/crlf?ttl=1h', {
      method: 'PUT',
      body: 'a\r\nb',
      headers: { 'Content-Type': 'text/csv' },
    });
    shown = await ConsolePage.open(browser, server.port);
    await shown.openKey('crlf');
    await button('Edit').click();
    await editor().fill('a\nc');
    await button('Save').click();
    await button('Edit').waitFor();
    const { text, headers } = await ask(server.port, '/kv/crlf');
    expect({ text, type: headers['content-type'], expires: headers['kv-expires'] }).toEqual({
      text: 'a\r\nc',
      type: 'text/csv',
      expires: expect.any(String),
    });
  });

  test('of a large value the first part is read, and all of it when it is asked for', async () => {
    const large = 'x'.repeat(300 * 1024);
    await put('large', large);
    shown = await ConsolePage.open(browser, server.port);
    await shown.openKey('large');
    await shown.page.getByText('The first 256 KiB of 300 KiB').waitFor();
    expect((await shown.page.locator('.text').textContent())!.length).toBe(256 * 1024);
    await button('Load all').click();
    await shown.page.getByText('The first 256 KiB').waitFor({ state: 'detached' });
    expect((await shown.page.locator('.text').textContent())!.length).toBe(large.length);
  });

  test('a new key takes what the old one had, and never the place of another', async () => {
    await put('old', Buffer.from([0, 255, 1]), 'application/octet-stream');
    await put('taken', '1');
    shown = await ConsolePage.open(browser, server.port);
    await shown.openKey('old');
    await choose('Rename…');
    const dialog = shown.page.getByRole('dialog');
    await dialog.getByLabel('New key').fill('taken');
    await dialog.getByRole('button', { name: 'Rename' }).click();
    await dialog.getByText('There is an entry with the key taken already').waitFor();
    await dialog.getByLabel('New key').fill('new');
    await dialog.getByRole('button', { name: 'Rename' }).click();
    await shown.page.getByRole('heading', { name: 'new' }).waitFor();
    expect([...(await ask(server.port, '/kv/new')).bytes]).toEqual([0, 255, 1]);
    expect((await ask(server.port, '/kv/old')).status).toBe(404);
  });

  test('a prefix is deleted when it has been typed, and marked entries when that is confirmed', async () => {
    for (let i = 0; i < 12; i++) await put(`log/${i}`, '1');
    await put('keep', '1');
    shown = await ConsolePage.open(browser, server.port, '#/keys?prefix=log/');
    const { page } = shown;
    await page.getByText('12 keys').waitFor();
    await page.locator('[role=option]').first().waitFor();
    for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key);
    await button('Delete…').last().click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('10 keys').waitFor();
    await page.getByLabel('More', { exact: true }).click();
    await button('Delete what begins so…').click();
    await page.getByText('Delete 10 entries?').waitFor();
    const remove = page.getByRole('dialog').getByRole('button', { name: 'Delete' });
    expect(await remove.isDisabled()).toBe(true);
    await page.getByRole('dialog').getByRole('textbox').fill('log/');
    await remove.click();
    await page.getByText('No such key').waitFor();
    expect((await ask(server.port, '/')).text).toBe('{"keep":"1"}');
  });

  test('a part of a key is found, and the feed tells in words what happens', async () => {
    for (let i = 0; i < 30; i++) await put(`item/${i}`, '1');
    shown = await ConsolePage.open(browser, server.port, '#/keys?find=m/2');
    await shown.page.getByText('11 found in 30 keys').waitFor();
    await shown.page.getByRole('link', { name: 'Live' }).click();
    await shown.page.getByText('Nothing has changed yet').waitFor();
    await ask(server.port, '/kv/item/7', { method: 'DELETE' });
    await put('item/8', 'new');
    await shown.page.getByRole('row', { name: /stored item\/8/ }).waitFor();
    await shown.page.getByRole('row', { name: /deleted item\/7/ }).waitFor();
    await shown.expectAccessible();
  });

  test('all tabs of a browser share one stream, and the next one goes on when a tab is closed', async () => {
    const streams: string[] = [];
    const context = await browser.newContext();
    context.on('request', (request) => request.url().includes('watch=true') && streams.push(request.url()));
    const first = await ConsolePage.open(context, server.port);
    await first.page.getByText('Live', { exact: true }).last().waitFor();
    shown = await ConsolePage.open(context, server.port);
    await shown.page.getByText('Live', { exact: true }).last().waitFor();
    await put('one', '1');
    await shown.page.getByRole('option', { name: 'one' }).waitFor();
    expect(streams).toHaveLength(1);
    await first.page.close();
    await put('two', '1');
    await shown.page.getByRole('option', { name: 'two' }).waitFor();
    await eventually(() => streams.length === 2, 'the stream of the tab that is left');
    await put('three', '1');
    await shown.page.getByRole('option', { name: 'three' }).waitFor();
  });

  test('the server is seen to be away, and to be back with what happened meanwhile', async () => {
    shown = await ConsolePage.open(browser, server.port);
    await shown.page.getByText('Live', { exact: true }).last().waitFor();
    await shown.page.getByRole('link', { name: 'Server' }).click();
    await shown.page.getByText('Ready', { exact: true }).waitFor();
    await shown.context.setOffline(true);
    await shown.page.getByText('cannot be reached').waitFor();
    await shown.context.setOffline(false);
    await shown.page.getByText('cannot be reached').waitFor({ state: 'detached' });
    await shown.expectAccessible();
  });
});
