import { expect, test } from '@jest/globals';
import { ConsolePage, showConsole } from '../../support/console.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { requireProgram } from '../../support/requires.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';

const program = requireProgram('chromium');

program.describe('what happens meanwhile, in the console', () => {
  const shown = showConsole(program.path);

  /** Another tab of the browser, open while `work` runs. */
  async function withTab(work: (tab: ConsolePage) => Promise<void>, port = shown.port): Promise<void> {
    const tab = await ConsolePage.open(shown.tab.context, port);
    await work(tab);
    expect(tab.complaints).toEqual([]);
    await tab.page.close();
  }

  test('the feed tells in words what happens, filters it, and stands still when it is to', async () => {
    const { page } = shown.tab;
    await shown.put('item/7', '1');
    await shown.tab.show('#/live');
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    await shown.tab.untilLive();
    await ask(shown.port, '/kv/item/7', { method: 'DELETE' });
    await shown.put('item/8', 'new');
    await page.getByRole('row', { name: /stored item\/8/ }).waitFor();
    await page.getByRole('row', { name: /deleted item\/7/ }).waitFor();
    await ask(shown.port, '/kv/short?ttl=1ms', { method: 'PUT', body: 'x' });
    await page.getByRole('row', { name: /expired short/ }).waitFor();
    await page.getByLabel('Only keys that contain').fill('item');
    await page.getByRole('row', { name: /expired short/ }).waitFor({ state: 'detached' });
    await page.getByRole('checkbox', { name: 'deleted' }).uncheck();
    await page.getByRole('row', { name: /deleted item\/7/ }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Pause' }).click();
    await shown.put('item/9', 'unseen');
    await page.getByRole('button', { name: 'Go on (1 new)' }).waitFor();
    expect(await page.getByRole('row', { name: /item\/9/ }).count()).toBe(0);
    await page.getByRole('button', { name: 'Go on (1 new)' }).click();
    await page.getByRole('row', { name: /stored item\/9/ }).waitFor();
    await page.getByLabel('Only keys that contain').fill('');
    await page.getByRole('checkbox', { name: 'deleted' }).check();
  });

  test('all tabs of a browser share one stream, and the next one goes on when a tab is closed', async () => {
    const streams: string[] = [];
    const context = await shown.browser.newContext();
    context.on('request', (request) => request.url().includes('watch=true') && streams.push(request.url()));
    const first = await ConsolePage.open(context, shown.port);
    await first.untilLive();
    const second = await ConsolePage.open(context, shown.port);
    await second.untilLive();
    await shown.put('one', '1');
    await second.page.getByRole('option', { name: 'one' }).waitFor();
    expect(streams).toHaveLength(1);
    await first.page.close();
    await shown.put('two', '1');
    await second.page.getByRole('option', { name: 'two' }).waitFor();
    await eventually(() => streams.length === 2, 'the stream of the tab that is left');
    await shown.put('three', '1');
    await second.page.getByRole('option', { name: 'three' }).waitFor();
    expect([...first.complaints, ...second.complaints]).toEqual([]);
    await context.close();
  });

  test('a lost connection is seen, and what happened meanwhile when it is back', async () => {
    const proxy = await startTcpProxy(shown.port);
    await shown.put('doc', 'before');
    await shown.put('gone', '1');
    await withTab(async (tab) => {
      const { page } = tab;
      await tab.untilLive();
      await tab.openKey('doc');
      proxy.drop();
      await page.getByText('Connection lost, trying again').waitFor();
      await shown.put('doc', 'meanwhile');
      await shown.put('new', '1');
      await ask(shown.port, '/kv/gone', { method: 'DELETE' });
      proxy.restore();
      await tab.untilLive();
      await page.getByRole('option', { name: 'new' }).waitFor();
      await page.getByRole('option', { name: 'gone' }).waitFor({ state: 'detached' });
      await page.getByRole('tabpanel').getByText('meanwhile').waitFor();
    }, proxy.port);
    await proxy.stop();
  });

  test('a server that is not there is told, and shown again when it is', async () => {
    const proxy = await startTcpProxy(shown.port);
    await withTab(async ({ page }) => {
      await page.getByRole('link', { name: 'Server' }).click();
      await page.getByText('Ready', { exact: true }).waitFor();
      proxy.drop();
      await page.getByText('cannot be reached').waitFor();
      proxy.restore();
      await page.getByText('cannot be reached').waitFor({ state: 'detached' });
    }, proxy.port);
    await proxy.stop();
  });

  test('of two tabs that edit one key the second sees both texts, and saves what both have changed', async () => {
    await shown.put('doc', 'one\ntwo\nthree');
    await shown.tab.openKey('doc');
    await shown.tab.button('Edit').click();
    await shown.tab.editor.fill('ONE\ntwo\nthree');
    await withTab(async (other) => {
      await other.openKey('doc');
      await other.button('Edit').click();
      await other.editor.fill('one\ntwo\nTHREE');
      await other.page.keyboard.press('Control+s');
      await other.button('Edit').waitFor();
    });
    const { page, editor } = shown.tab;
    await page.getByText('was changed elsewhere').waitFor();
    expect(await editor.inputValue()).toBe('ONE\ntwo\nthree');
    await editor.focus();
    await page.keyboard.press('Control+s');
    await page.getByRole('heading', { name: /changed the entry meanwhile/ }).waitFor();
    expect(await page.locator('.sides pre').allInnerTexts()).toEqual([
      expect.stringContaining('one\ntwo\nthree'),
      expect.stringContaining('ONE'),
      expect.stringContaining('THREE'),
    ]);
    expect(await shown.valueOf('doc')).toBe('one\ntwo\nTHREE');
    await shown.tab.button('Save').click();
    await shown.tab.button('Edit').waitFor();
    expect(await shown.valueOf('doc')).toBe('ONE\ntwo\nTHREE');
  });

  test('where both have changed the same, somebody decides before it is saved', async () => {
    await shown.put('doc', 'a\nb\n-\nc');
    await shown.tab.openKey('doc');
    await shown.tab.button('Edit').click();
    await shown.tab.editor.fill('a\nmine\n-\nc');
    await shown.put('doc', 'a\ntheirs\n-\nc');
    await shown.tab.button('Save').click();
    const joined = shown.tab.page.getByLabel(/To be saved/);
    await joined.waitFor();
    expect(await joined.inputValue()).toBe('a\n<<<<<<< mine\nmine\n=======\ntheirs\n>>>>>>> theirs\n-\nc');
    expect(await shown.tab.button('Save').isDisabled()).toBe(true);
    await joined.fill('a\nmine and theirs\n-\nc');
    // Once more somebody is faster: what was joined is not lost.
    await shown.put('doc', 'a\ntheirs\n-\nC');
    await shown.tab.button('Save').click();
    await eventually(
      async () => (await joined.inputValue()) === 'a\nmine and theirs\n-\nC',
      'what all of them have changed',
    );
    await shown.tab.page.keyboard.press('Control+s');
    await shown.tab.button('Edit').waitFor();
    expect(await shown.valueOf('doc')).toBe('a\nmine and theirs\n-\nC');
  });

  test('who is edited and deleted elsewhere can be stored again', async () => {
    await shown.put('doc', 'text');
    await shown.tab.openKey('doc');
    await shown.tab.button('Edit').click();
    await shown.tab.editor.fill('text of mine');
    await ask(shown.port, '/kv/doc', { method: 'DELETE' });
    await shown.tab.page.getByText('was deleted elsewhere').waitFor();
    await shown.tab.button('Compare').click();
    await shown.tab.button('Store again').click();
    await shown.tab.button('Edit').waitFor();
    expect(await shown.valueOf('doc')).toBe('text of mine');
  });
});
