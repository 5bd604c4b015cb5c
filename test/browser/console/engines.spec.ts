import { expect, test } from '@jest/globals';
import { showConsole } from '../../support/console.js';
import { ask } from '../../support/http.js';
import { requireProgram } from '../../support/requires.js';
import { CLUSTERS, describeOn, ENGINES } from '../../support/ways.js';

const program = requireProgram('chromium');

program.describe('the console', () => {
  describeOn([...ENGINES, ...CLUSTERS])('on $name', ({ start }) => {
    const shown = showConsole(program.path, start);

    test('stores, shows, edits, renames and deletes, and sees what others do', async () => {
      const { tab } = shown;
      const { page, dialog } = tab;
      await tab.untilLive();
      await tab.button('New').click();
      await dialog.getByLabel('Key').fill('user/1');
      await dialog.getByLabel('Type').fill('application/json');
      await dialog.getByLabel('Value').fill('{"n":12345678901234567890}');
      await tab.button('Store').click();
      await page.getByRole('tabpanel').getByText('12345678901234567890').waitFor();
      await page.getByRole('option', { name: 'user/' }).waitFor();
      await tab.button('Edit').click();
      await tab.editor.fill('{"n":1}');
      await page.keyboard.press('Control+s');
      await tab.button('Edit').waitFor();
      expect(await shown.valueOf('user/1')).toBe('{"n":1}');

      await tab.button('Edit').click();
      await tab.editor.fill('{"n":2}');
      await shown.put('user/1', '{"n":3}', 'application/json');
      await page.getByText('was changed elsewhere').waitFor();
      await page.keyboard.press('Control+s');
      await page.getByRole('heading', { name: /changed the entry meanwhile/ }).waitFor();
      await tab.button('Take mine').click();
      await tab.button('Save').click();
      await tab.button('Edit').waitFor();
      expect(await shown.valueOf('user/1')).toBe('{"n":2}');

      await shown.put('user/2', 'theirs');
      await tab.show('#/keys?prefix=user/');
      await page.getByRole('option', { name: /^2/ }).click();
      await page.getByRole('tabpanel').getByText('theirs').waitFor();
      await ask(shown.port, '/kv/user/2', { method: 'DELETE' });
      await page.getByText('No such entry').waitFor();
      await page.getByRole('option', { name: /^2/ }).waitFor({ state: 'detached' });

      await tab.openKey('user/1');
      await tab.choose('Delete…');
      await dialog.getByRole('button', { name: 'Delete' }).click();
      await page.getByText('Nothing is stored yet').waitFor();
      expect(await shown.valueOf('user/1')).toBe('404');
    });
  });
});
