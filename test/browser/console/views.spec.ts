import { expect, test } from '@jest/globals';
import { ConsolePage, showConsole } from '../../support/console.js';
import { ask } from '../../support/http.js';
import { requireProgram } from '../../support/requires.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';

const program = requireProgram('chromium');

const FIRST_VIEW_BYTES = 150_000;

program.describe('every view of the console is accessible', () => {
  const shown = showConsole(program.path);

  async function fill(): Promise<void> {
    for (const key of ['a', 'user/1', 'مرحبا', '🕊️']) await shown.put(key, 'text');
    await shown.put('json', '{"a":[1,true,null,"x"]}', 'application/json');
    await shown.put('bytes', Buffer.from([0, 255]), 'application/octet-stream');
    await shown.put('svg', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 'image/svg+xml');
    await ask(shown.port, '/kv/count?ttl=1h', { method: 'PUT', body: '41' });
    // Stored last: what is open and what lies beside it does not change any more.
    await shown.tab.page.getByRole('option', { name: 'count' }).waitFor();
  }

  test('an empty database, a prefix that nothing begins with, and a key that is not there', async () => {
    await shown.tab.page.getByText('Nothing is stored yet').waitFor();
    await shown.tab.expectAccessible();
    await shown.tab.show('#/keys?prefix=nothing&key=absent');
    await shown.tab.page.getByText('No such key').waitFor();
    await shown.tab.page.getByText('No such entry').waitFor();
    await shown.tab.expectAccessible();
  });

  test('the list with marks, and each way to show a value', async () => {
    await fill();
    const { page } = shown.tab;
    for (const key of ['j', 'j', 'x']) await page.keyboard.press(key);
    await page.getByText('1 marked').waitFor();
    await shown.tab.expectAccessible();
    for (const key of ['json', 'bytes', 'svg', 'count']) {
      await shown.tab.openKey(key);
      await shown.tab.expectAccessible();
    }
  });

  test('the editor, and the three versions of a conflict', async () => {
    await fill();
    await shown.tab.openKey('a');
    await shown.tab.button('Edit').click();
    await shown.tab.editor.fill('mine');
    await shown.put('a', 'theirs');
    await shown.tab.page.getByText('was changed elsewhere').waitFor();
    await shown.tab.expectAccessible();
    await shown.tab.button('Compare').click();
    await shown.tab.page.getByRole('heading', { name: /changed the entry meanwhile/ }).waitFor();
    await shown.tab.expectAccessible();
    await shown.tab.button('Leave theirs').click();
  });

  test('menus and dialogs', async () => {
    await fill();
    await shown.tab.openKey('a');
    const { page, dialog } = shown.tab;
    await page.getByLabel('More of this entry').click();
    await shown.tab.expectAccessible();
    await page.keyboard.press('Escape');
    const dialogs = [
      () => shown.tab.choose('Expiry…'),
      () => shown.tab.choose('Rename…'),
      () => shown.tab.choose('Delete…'),
      () => page.keyboard.press('n'),
      () => page.keyboard.press('?'),
      async () => {
        await page.getByLabel('More', { exact: true }).click();
        await shown.tab.button('Import lines…').click();
      },
      async () => {
        await page.getByLabel('More', { exact: true }).click();
        await shown.tab.button('Delete everything…').click();
      },
    ];
    for (const open of dialogs) {
      await open();
      await dialog.waitFor();
      await shown.tab.expectAccessible();
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
    }
  });

  test('the feed, empty and full, tokens, and the server', async () => {
    const { page } = shown.tab;
    // Loaded anew, it begins after whatever the test before left to be deleted.
    await shown.tab.go('#/live');
    await page.getByText('Nothing has changed yet').waitFor();
    await shown.tab.expectAccessible();
    await shown.tab.untilLive();
    await shown.put('a', '1');
    await ask(shown.port, '/kv/a', { method: 'DELETE' });
    await page.getByRole('row', { name: 'deleted a' }).waitFor();
    await shown.tab.expectAccessible();
    await page.getByLabel('Only keys that contain').fill('nothing');
    await page.getByRole('heading', { name: 'Nothing to show' }).waitFor();
    await page.getByLabel('Only keys that contain').fill('');
    await shown.tab.show('#/tokens');
    await page.getByRole('heading', { name: 'No tokens' }).waitFor();
    await shown.tab.expectAccessible();
    await shown.tab.button('New token').click();
    await shown.tab.dialog.waitFor();
    await shown.tab.expectAccessible();
    await page.keyboard.press('Escape');
    await shown.tab.show('#/server');
    await page.getByText('Requests a second').waitFor();
    await shown.tab.expectAccessible();
  });

  test('the first view is small', async () => {
    await fill();
    const context = await shown.browser.newContext();
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send('Network.enable');
    let bytes = 0;
    session.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
    await page.goto(`http://127.0.0.1:${shown.port}/console`);
    await page.getByRole('option', { name: 'user/' }).waitFor();
    await page.locator('.connection.live').waitFor();
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(FIRST_VIEW_BYTES);
    await context.close();
  });

  test('a server that is away, and the question for a token', async () => {
    const proxy = await startTcpProxy(shown.port);
    const tab = await ConsolePage.open(shown.tab.context, proxy.port);
    await tab.untilLive();
    proxy.drop();
    await tab.page.getByText('Connection lost').waitFor();
    await tab.page.getByRole('link', { name: 'Server' }).click();
    await tab.page.getByRole('alert').waitFor();
    await tab.expectAccessible();
    proxy.restore();
    await ask(shown.port, '/tokens', { method: 'POST', body: '{"can":["read","write","monitor","admin"]}' });
    await tab.go();
    await tab.page.getByLabel('Token').waitFor();
    await tab.expectAccessible();
    await proxy.stop();
  });
});
