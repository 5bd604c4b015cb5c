import { expect, test } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CDPSession } from 'playwright-core';
import { showConsole } from '../../support/console.js';
import { ask } from '../../support/http.js';
import { shortOrLong } from '../../support/long-run.js';
import { requireProgram } from '../../support/requires.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const program = requireProgram('chromium');

const LINES = { 'Content-Type': 'application/x-ndjson' };
/** How many keys are scrolled through. */
const MANY = shortOrLong(12_000, 1_000_000);
/** Rows that exist and bytes that are in use however many keys there are. */
const MOST_ROWS_DRAWN = 200;
/** More than so many rows are not kept. */
const KEPT = 6000;
const MOST_BYTES_MORE = 40 * 1024 * 1024;

program.describe('many entries in the console', () => {
  const shown = showConsole(program.path);

  async function chooseOfList(name: string): Promise<void> {
    await shown.tab.page.getByLabel('More', { exact: true }).click();
    await shown.tab.button(name).click();
  }
  async function downloadOf(click: () => Promise<void>): Promise<string> {
    const download = shown.tab.page.waitForEvent('download');
    await click();
    return readFile(await (await download).path(), 'utf8');
  }
  async function chooseFiles(click: () => Promise<void>, ...files: string[]): Promise<void> {
    const chooser = shown.tab.page.waitForEvent('filechooser');
    await click();
    await (await chooser).setFiles(files);
  }
  async function fileWith(name: string, content: string): Promise<string> {
    const path = join(temporaryFolder(), name);
    await writeFile(path, content);
    return path;
  }
  async function store(count: number, keyOf: (i: number) => string): Promise<void> {
    for (let at = 0; at < count; at += 10_000) {
      const lines = Array.from({ length: Math.min(10_000, count - at) }, (_, i) =>
        JSON.stringify({ key: keyOf(at + i), type: 'text/plain', value: `value ${at + i}` }),
      );
      await ask(shown.port, '/kv', { method: 'POST', headers: LINES, body: `${lines.join('\n')}\n` });
    }
  }

  test('a prefix is deleted when it has been typed, and marked entries when that is confirmed', async () => {
    for (let i = 0; i < 12; i++) await shown.put(`log/${i}`, '1');
    await shown.put('keep', '1');
    await shown.tab.show('#/keys?prefix=log/');
    const { page, dialog } = shown.tab;
    await page.getByText('12 keys').waitFor();
    await page.locator('.row').first().waitFor();
    for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key);
    await shown.tab.button('Delete…').last().click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('10 keys').waitFor();
    await chooseOfList('Delete all with this prefix…');
    await page.getByText('Delete 10 entries?').waitFor();
    const remove = dialog.getByRole('button', { name: 'Delete' });
    expect(await remove.isDisabled()).toBe(true);
    await dialog.getByRole('textbox').fill('log/');
    await remove.click();
    await page.getByText('No such key').waitFor();
    expect((await ask(shown.port, '/')).text).toBe('{"keep":"1"}');
    await chooseOfList('Delete all with this prefix…');
    await page.getByText('There is nothing to delete').waitFor();
  });

  test('what is marked is exported as lines that an import takes; all that begins so, too', async () => {
    await shown.put('a/1', Buffer.from([0, 255]), 'application/octet-stream');
    for (const key of ['a/2', 'a/3', 'b']) await shown.put(key, `value of ${key}`);
    await shown.tab.show('#/keys?prefix=a/');
    const { page } = shown.tab;
    const row = (name: string) => page.getByRole('option', { name: new RegExp(`^${name}`) });
    await row('3').waitFor();
    await row('1').click({ modifiers: ['Control'] });
    await row('2').click({ modifiers: ['Shift'] });
    await page.getByText('2 marked').waitFor();
    const marked = await downloadOf(() => shown.tab.button('Export').click());
    const all = await downloadOf(() => chooseOfList('Export all with this prefix'));
    await shown.tab.button('Clear').click();
    await ask(shown.port, '/kv?confirm=all', { method: 'DELETE' });
    await ask(shown.port, '/kv', { method: 'POST', headers: LINES, body: marked });
    expect((await ask(shown.port, '/')).text).toBe(
      '{"a/1":"data:application/octet-stream;base64,AP8=","a/2":"value of a/2"}',
    );
    await ask(shown.port, '/kv', { method: 'POST', headers: LINES, body: all });
    expect(JSON.parse((await ask(shown.port, '/kv')).text).items).toHaveLength(3);
    expect(JSON.parse(all.trimEnd().split('\n').at(-1)!)).toMatchObject({ end: true, count: 3 });
  });

  test('an import is tried first without writing, and names the lines that are wrong', async () => {
    await shown.put('b', 'old');
    const lines = ['{"key":"a","value":"1"}', 'no json', '{"key":"b","value":"new"}', '{"key":""}'];
    const file = await fileWith('lines.ndjson', `${lines.join('\n')}\n`);
    await chooseOfList('Import lines…');
    const { dialog, page } = shown.tab;
    await dialog.getByLabel('File').setInputFiles(file);
    await dialog.getByRole('button', { name: 'Try it without writing' }).click();
    await dialog.getByText('It would make 1 entry, replace 1, and leave 0.').waitFor();
    expect(
      await page.evaluate(`[...document.querySelectorAll('.errors li')].map(({ value }) => value)`),
    ).toEqual([2, 4]);
    expect(await shown.valueOf('a')).toBe('404');
    await dialog.getByRole('button', { name: 'Import', exact: true }).click();
    await dialog.getByText('Made 1 entry, replaced 1, and left 0.').waitFor();
    await dialog.getByText('2 lines with an error').waitFor();
    expect([await shown.valueOf('a'), await shown.valueOf('b')]).toEqual(['1', 'new']);
    await dialog.getByRole('button', { name: 'Close' }).click();
  });

  test('files are stored under their names: chosen, or dropped on the list', async () => {
    await shown.put('up/taken.txt', 'theirs');
    await shown.tab.show('#/keys?prefix=up/');
    const { page } = shown.tab;
    await page.getByRole('option', { name: 'taken.txt' }).waitFor();
    const [one, taken] = [await fileWith('one.json', '{"a":1}'), await fileWith('taken.txt', 'mine')];
    await chooseFiles(() => chooseOfList('Upload files…'), one, taken);
    await page.getByText('1 file stored. taken.txt: such a key exists already').waitFor();
    const data = await page.evaluateHandle(`(() => {
      const data = new DataTransfer();
      data.items.add(new File(['dropped'], 'dropped.txt', { type: 'text/plain' }));
      return data;
    })()`);
    const list = page.getByRole('region', { name: 'Keys' });
    await list.dispatchEvent('dragover', { dataTransfer: data });
    await page.locator('[data-drop=over]').waitFor();
    await list.dispatchEvent('drop', { dataTransfer: data });
    await page.getByRole('heading', { name: 'up/dropped.txt' }).waitFor();
    expect((await ask(shown.port, '/')).text).toBe(
      '{"up/dropped.txt":"dropped","up/one.json":{"a":1},"up/taken.txt":"theirs"}',
    );
  });

  test('a file takes the place of a value that is no text', async () => {
    await shown.put('bin', Buffer.from([0, 255]), 'application/octet-stream');
    await shown.tab.openKey('bin');
    const file = await fileWith('new.csv', 'a,b');
    await chooseFiles(() => shown.tab.choose('Replace with a file…'), file);
    await shown.tab.page.getByRole('tabpanel').getByText('a,b').waitFor();
    expect((await ask(shown.port, '/kv/bin')).headers['content-type']).toBe('text/csv');
    expect(await downloadOf(() => shown.tab.choose('Download'))).toBe('a,b');
  });

  test('the last of very many keys is scrolled to in as much memory as few of them take', async () => {
    const keyOf = (i: number) => String(i).padStart(7, '0');
    await store(MANY, (i) => `many/${keyOf(i)}`);
    const { page } = shown.tab;
    await shown.tab.show('#/keys?prefix=many/');
    await page.getByRole('option', { name: keyOf(0) }).waitFor();
    const session = await page.context().newCDPSession(page);
    await scrollTo(keyOf(KEPT));
    const before = await bytesInUse(session);
    const { most, gaps } = await scrollTo(keyOf(MANY - 1));
    expect({ gaps, isFew: most < MOST_ROWS_DRAWN }).toEqual({ gaps: 0, isFew: true });
    expect((await bytesInUse(session)) - before).toBeLessThan(MOST_BYTES_MORE);
    await page.keyboard.press('Home');
    await page.getByRole('option', { name: keyOf(0) }).waitFor();
    await page.keyboard.press('End');
    await page.getByRole('option', { name: keyOf(MANY - 1) }).waitFor();
  });

  /** Scrolls to the end of what is loaded, and on as more comes, until a key is seen: how many rows were drawn at most. */
  function scrollTo(key: string): Promise<{ most: number; gaps: number }> {
    return shown.tab.page.evaluate(`(async () => {
      const box = document.querySelector('.list-pane .rows');
      let [most, gaps] = [0, 0];
      for (;;) {
        const names = [...box.querySelectorAll('[role=option] .key')].map(({ textContent }) => textContent);
        most = Math.max(most, names.length);
        if (names.some((name, i) => i > 0 && Number(name) !== Number(names[i - 1]) + 1)) gaps++;
        if (names.at(-1) >= '${key}') return { most, gaps };
        box.scrollTop = box.scrollHeight;
        await new Promise(requestAnimationFrame);
      }
    })()`);
  }
  async function bytesInUse(session: CDPSession): Promise<number> {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize;
  }
});
