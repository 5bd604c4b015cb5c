import { expect, test } from '@jest/globals';
import { showConsole } from '../../support/console.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { requireProgram } from '../../support/requires.js';
import { startInProcess } from '../../support/target.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const program = requireProgram('chromium');

program.describe('the past in the console', () => {
  const shown = showConsole(program.path, () =>
    startInProcess({ DATABASE_URL: `lmdb:${temporaryFolder()}` }),
  );
  const versions = () => shown.tab.page.getByRole('navigation', { name: 'Versions' }).getByRole('link');
  const difference = () => shown.tab.page.getByRole('region', { name: 'Lines that differ' });

  test('shows who changed a key to what and when, what differs, and puts a version back', async () => {
    const { tab } = shown;
    const { page } = tab;
    for (const rank of [1, 2, 3]) await shown.put('doc', `{"rank":${rank},"x":0}`, 'application/json');
    await tab.openKey('doc');
    await page.keyboard.press('v');
    await difference().getByText('"rank": 2,').waitFor();
    expect(await versions().allInnerTexts()).toHaveLength(3);
    expect(await difference().locator('.gone').allInnerTexts()).toEqual([
      expect.stringContaining('"rank": 2,'),
    ]);
    expect(await difference().locator('.new').allInnerTexts()).toEqual([
      expect.stringContaining('"rank": 3,'),
    ]);
    await tab.expectAccessible();
    await page.setViewportSize({ width: 390, height: 700 });
    const places = await difference().locator('li').all();
    const tops = await Promise.all(places.map(async (line) => (await line.boundingBox())!.y));
    expect(tops).toEqual([...new Set(tops)].toSorted((a, b) => a - b));
    await page.setViewportSize({ width: 1280, height: 720 });
    await versions().nth(2).click();
    await difference().getByText('The entry was made').waitFor();
    await page.getByLabel('Compared with').selectOption('the newest');
    await difference().getByText('"rank": 3,').waitFor();
    await tab.button('Put this version back').click();
    await versions().nth(3).waitFor();
    expect(await shown.valueOf('doc')).toBe('{"rank":1,"x":0}');
    await tab.button('Undo this change').click();
    await versions().nth(4).waitFor();
    expect(await shown.valueOf('doc')).toBe('{"rank":3,"x":0}');
    await page.keyboard.press('Escape');
    await page.getByRole('tabpanel').getByText('"rank": 3,').waitFor();
  });

  test('brings back what was deleted, also from the feed, where it is still the last change', async () => {
    const { tab } = shown;
    const { page } = tab;
    await shown.put('gone', '<b>bold</b>\n');
    await tab.show('#/live');
    await tab.untilLive();
    await ask(shown.port, '/kv/gone', { method: 'DELETE' });
    await tab.button('Undo deleted gone').click();
    await eventually(async () => (await shown.valueOf('gone')) === '<b>bold</b>\n');
    await tab.button('Undo deleted gone').click();
    await page.getByText('was changed once more since').waitFor();
    await ask(shown.port, '/kv/gone', { method: 'DELETE' });
    await tab.show('#/keys?key=gone');
    await tab.button('Look at its past').click();
    await difference().getByText('<b>bold</b>').waitFor();
    await tab.expectAccessible();
    await tab.button('Undo this change').click();
    await versions().nth(4).waitFor();
    expect(await shown.valueOf('gone')).toBe('<b>bold</b>\n');
  });

  test('says of bytes what they are, and of a key that never was that there is nothing', async () => {
    const { tab } = shown;
    await shown.put('bytes', Buffer.from([0, 255]), 'application/octet-stream');
    await tab.show('#/keys?key=bytes&history=');
    await difference().getByText('2 bytes of application/octet-stream, which are no text').waitFor();
    await tab.show('#/keys?key=never&history=');
    await tab.page.getByText('Nothing was ever stored under this key').waitFor();
  });

  test('puts a folder back to a moment, after it has said what would change', async () => {
    const { tab } = shown;
    const { page, dialog } = tab;
    await shown.put('folder/a', 'before');
    // The field takes whole seconds.
    const moment = Math.ceil(Date.now() / 1000) * 1000;
    await eventually(() => Date.now() > moment);
    await shown.put('folder/a', 'after');
    await shown.put('folder/b', 'new');
    await tab.show('#/keys?prefix=folder/');
    await page.getByRole('option', { name: /^a/ }).waitFor();
    await page.getByLabel('More', { exact: true }).click();
    await tab.button('Put all with this prefix back to…').click();
    await dialog.getByLabel('To what was there at').fill(new Date(moment).toISOString().slice(0, 19));
    await dialog.getByRole('button', { name: 'Look what would change' }).click();
    await dialog.getByText('1 entry would get back what it held').waitFor();
    await dialog.getByText('1 entry that did not exist then would be deleted').waitFor();
    expect(await shown.valueOf('folder/a')).toBe('after');
    await tab.expectAccessible();
    await dialog.getByRole('button', { name: 'Put back' }).click();
    await dialog.getByText('1 entry got back what it held').waitFor();
    expect([await shown.valueOf('folder/a'), await shown.valueOf('folder/b')]).toEqual(['before', '404']);
    await dialog.getByRole('button', { name: 'Close' }).click();
  });
});
