import { expect, test } from '@jest/globals';
import { showConsole } from '../../support/console.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { requireProgram } from '../../support/requires.js';

const program = requireProgram('chromium');

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

program.describe('entries in the console', () => {
  const shown = showConsole(program.path);

  test('an empty database shows how to fill it, and what is stored shows up by itself', async () => {
    const { page } = shown.tab;
    await page.getByText('Nothing is stored yet').waitFor();
    await shown.tab.untilLive();
    await shown.put('hello', 'world');
    await page.getByRole('option', { name: 'hello' }).waitFor();
    await ask(shown.port, '/kv/hello', { method: 'DELETE' });
    await page.getByText('Nothing is stored yet').waitFor();
  });

  test('folders are opened and left by the keyboard, and Back leads where one was', async () => {
    const { page } = shown.tab;
    await shown.tab.untilLive();
    for (const key of ['a', 'user/1', 'user/2']) await shown.put(key, '1');
    await page.getByRole('option', { name: 'user/' }).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('option', { name: /^2/ }).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'user/1' }).waitFor();
    await page.goBack();
    await page.getByText('Choose a key').waitFor();
    await page.goBack();
    await page.getByRole('option', { name: 'user/' }).waitFor();
    await page.goForward();
    await page.getByRole('option', { name: /^2/ }).waitFor();
  });

  test('the keyboard goes through the list by rows, by twenty and to its ends, edits, saves and goes up', async () => {
    const { page } = shown.tab;
    await shown.tab.untilLive();
    for (let i = 10; i < 60; i++) await shown.put(`row/${i}`, '1');
    await shown.tab.show('#/keys?prefix=row/');
    await page.getByRole('option', { name: /^10/ }).waitFor();
    const steps = { j: '10', PageDown: '30', k: '29', PageUp: '10', End: '59', Home: '10' };
    for (const [key, row] of Object.entries(steps)) {
      await page.keyboard.press(key);
      await page.locator('#at-cursor', { hasText: row }).waitFor();
    }
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'row/10' }).waitFor();
    await page.getByRole('tabpanel').waitFor();
    await page.keyboard.press('e');
    await shown.tab.editor.fill('/ j h ?');
    await page.keyboard.press('Control+s');
    await page.getByRole('tabpanel').getByText('/ j h ?').waitFor();
    expect(await shown.valueOf('row/10')).toBe('/ j h ?');
    await page.keyboard.press('h');
    await page.getByRole('option', { name: 'row/' }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('row/2');
    await page.getByRole('option', { name: /^29/ }).waitFor();
    expect(await page.locator('.row').count()).toBe(10);
  });

  test('an address holds what is shown: reload and a link that is sent on show the same', async () => {
    for (const key of ['a:1', 'a:2', 'b:1']) await shown.put(key, `value of ${key}`);
    await shown.tab.go('#/keys?prefix=a:&delimiter=:&key=a:2');
    await shown.tab.page.getByRole('tabpanel').getByText('value of a:2').waitFor();
    expect(await shown.tab.page.locator('.row').allInnerTexts()).toEqual([
      expect.stringMatching(/^1/),
      expect.stringMatching(/^2/),
    ]);
  });

  test('JSON is shown with every digit, every member that occurs twice, and in its order', async () => {
    const text = '{"z":12345678901234567890,"a":1.50,"z":1e400}';
    await shown.put('numbers', text, 'application/json');
    await shown.tab.openKey('numbers');
    const value = shown.tab.page.getByRole('tabpanel');
    const lines = '{\n  "z": 12345678901234567890,\n  "a": 1.50,\n  "z": 1e400\n}';
    await eventually(async () => (await value.innerText()).includes(lines), 'the value');
    await shown.tab.page.getByRole('tab', { name: 'Text' }).click();
    await value.getByText(text).waitFor();
    await shown.tab.page.getByRole('tab', { name: 'JSON' }).click();
  });

  test('an image is a picture of its own bytes, and bytes are bytes', async () => {
    await shown.put('dot', PNG, 'image/png');
    await shown.tab.openKey('dot');
    const { page } = shown.tab;
    const picture = page.getByRole('img', { name: 'The value of dot' });
    await eventually(
      async () => (await page.evaluate(`document.querySelector('.picture')?.naturalWidth`)) === 1,
      'the picture',
    );
    expect(await picture.getAttribute('src')).toMatch(/^blob:/);
    await page.getByRole('tab', { name: 'Bytes' }).click();
    await page.getByText('89 50 4e 47 0d 0a 1a 0a').waitFor();
    await page.getByRole('tab', { name: 'Image' }).click();
  });

  test('line ends, expiry and type outlive an edit', async () => {
    await ask(shown.port, '/kv/crlf?ttl=1h', {
      method: 'PUT',
      body: 'a\r\nb',
      headers: { 'Content-Type': 'text/csv' },
    });
    await shown.tab.openKey('crlf');
    await shown.tab.button('Edit').click();
    await shown.tab.editor.fill('a\nc');
    await shown.tab.button('Save').click();
    await shown.tab.button('Edit').waitFor();
    const { text, headers } = await ask(shown.port, '/kv/crlf');
    expect({ text, type: headers['content-type'], expires: headers['kv-expires'] }).toEqual({
      text: 'a\r\nc',
      type: 'text/csv',
      expires: expect.any(String),
    });
  });

  test('a new entry has the type, value and expiry that were typed, and never the place of another', async () => {
    await shown.put('taken', 'theirs');
    const { dialog, button } = { dialog: shown.tab.dialog, button: (name: string) => shown.tab.button(name) };
    await button('New').click();
    await dialog.getByLabel('Key').fill('taken');
    await dialog.getByLabel('Type').fill('application/json');
    await dialog.getByLabel('Value').fill('{"a":');
    await dialog.getByText('Line 1, column 6').waitFor();
    await dialog.getByLabel('Value').fill('{"a":1}');
    await dialog.getByRole('button', { name: '1 hour' }).click();
    await button('Store').click();
    await dialog.getByText('There is an entry with this key already').waitFor();
    await dialog.getByLabel('Key').fill('mine');
    await button('Store').click();
    await shown.tab.page.getByRole('heading', { name: 'mine' }).waitFor();
    const { text, headers } = await ask(shown.port, '/kv/mine');
    expect([text, headers['content-type'], typeof headers['kv-expires']]).toEqual([
      '{"a":1}',
      'application/json',
      'string',
    ]);
    expect(await shown.valueOf('taken')).toBe('theirs');
  });

  test('of a large value the first part is read, and all of it when it is asked for', async () => {
    const large = 'x'.repeat(300 * 1024);
    await shown.put('large', large);
    await shown.tab.openKey('large');
    const { page } = shown.tab;
    const length = () => page.evaluate(`document.querySelector('.text').textContent.length`);
    await page.getByText('The first 256 KiB of 300 KiB').waitFor();
    expect(await length()).toBe(256 * 1024);
    await shown.tab.button('Load all').click();
    await page.getByText('The first 256 KiB').waitFor({ state: 'detached' });
    expect(await length()).toBe(large.length);
  });

  test('the first part of large JSON is not called wrong, wherever it is cut', async () => {
    const { page } = shown.tab;
    const cut = 256 * 1024;
    for (const [name, piece, at] of [
      ['word', 'false', 2],
      ['escape', '"\\u1234"', 5],
      ['number', '-1.5e+3', 6],
    ] as const) {
      const before = `["${'x'.repeat(cut - at - 4)}",`;
      await shown.put(name, `${before}${piece},${'1,'.repeat(2000)}2]`, 'application/json');
      await shown.tab.openKey(name);
      await page.getByText('The first 256 KiB').waitFor();
      expect(await page.locator('.warning').count()).toBe(0);
      expect(await page.getByRole('tab', { name: 'JSON' }).getAttribute('aria-selected')).toBe('true');
    }
  });

  test('a new key takes what the old one had, and never the place of another', async () => {
    await shown.put('old', Buffer.from([0, 255, 1]), 'application/octet-stream');
    await shown.put('taken', '1');
    await shown.tab.openKey('old');
    await shown.tab.choose('Rename…');
    const { dialog } = shown.tab;
    await dialog.getByLabel('New key').fill('taken');
    await dialog.getByRole('button', { name: 'Rename' }).click();
    await dialog.getByText('There is an entry with the key taken already').waitFor();
    await dialog.getByLabel('New key').fill('new');
    await dialog.getByRole('button', { name: 'Rename' }).click();
    await shown.tab.page.getByRole('heading', { name: 'new' }).waitFor();
    expect([...(await ask(shown.port, '/kv/new')).bytes]).toEqual([0, 255, 1]);
    await shown.tab.choose('Duplicate…');
    await dialog.getByLabel('New key').fill('copy');
    await dialog.getByRole('button', { name: 'Duplicate' }).click();
    await shown.tab.page.getByRole('heading', { name: 'copy' }).waitFor();
    expect((await ask(shown.port, '/')).text).toBe(
      JSON.stringify({
        copy: 'data:application/octet-stream;base64,AP8B',
        new: 'data:application/octet-stream;base64,AP8B',
        taken: '1',
      }),
    );
  });

  test('a counter counts, and an expiry is set and taken away', async () => {
    const { page } = shown.tab;
    await shown.put('visits', '9007199254740993');
    await shown.tab.openKey('visits');
    await page.getByLabel('One more').click();
    await page.getByRole('tabpanel').getByText('9007199254740994').waitFor();
    await page.getByLabel('One less').click();
    await page.getByRole('tabpanel').getByText('9007199254740993').waitFor();
    await shown.tab.choose('Expiry…');
    await shown.tab.dialog.getByRole('button', { name: '1 day' }).click();
    await shown.tab.dialog.getByRole('button', { name: 'Set' }).click();
    await page.locator('.countdown').waitFor();
    expect((await ask(shown.port, '/kv/visits')).headers).toHaveProperty('kv-expires');
    await shown.tab.choose('Expiry…');
    await shown.tab.dialog.getByRole('button', { name: 'Never' }).click();
    await page.locator('.countdown').waitFor({ state: 'detached' });
    expect((await ask(shown.port, '/kv/visits')).headers).not.toHaveProperty('kv-expires');
  });

  test('a part of a key is found, and the search says how many keys it has looked at', async () => {
    for (let i = 0; i < 30; i++) await shown.put(`item/${i}`, '1');
    await shown.tab.show('#/keys?find=m/2');
    await shown.tab.page.getByText('11 found in 30 keys').waitFor();
  });

  test('History is not offered by a server that has none', async () => {
    await shown.put('a', '1');
    await shown.tab.openKey('a');
    expect(await shown.tab.page.getByRole('tab').allInnerTexts()).toEqual(['Text', 'Bytes']);
  });
});
