import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anyKey } from '../../support/any-key.js';
import { showConsole } from '../../support/console.js';
import { ask } from '../../support/http.js';
import { eventually } from '../../support/eventually.js';
import { shortOrLong } from '../../support/long-run.js';
import { requireProgram } from '../../support/requires.js';

const program = requireProgram('chromium');

/** What runs, or is loaded from elsewhere, if anything takes it for markup. */
const ATTACKS = [
  '<img src=x onerror="window.stolen=1">',
  '<script>window.stolen=1</script>',
  '"><svg onload=window.stolen=1>',
  "'-window.stolen=1-'",
  'javascript:window.stolen=1',
  '<iframe srcdoc="<script>parent.stolen=1</script>">',
  '<a href="javascript:window.stolen=1" autofocus onfocus="window.stolen=1">x</a>',
  '${window.stolen=1}{{window.stolen=1}}',
  '<style>@import "//127.0.0.1:1/x"</style><link rel=stylesheet href="//127.0.0.1:1/x">',
  '<base href="//127.0.0.1:1/"><form action="//127.0.0.1:1/"><input autofocus></form>',
  '</textarea></pre></template><img src=x onerror="window.stolen=1">',
  '__proto__',
];
/** Keys that something between a click and the store could change. */
const KEYS = [
  '.',
  '..',
  'a/../b',
  '/',
  'a//',
  ' ',
  '+%2B&=#?',
  '\u0000',
  'line\r\nend',
  'constructor',
  '\u202eabc',
  '\ufeff',
  'é',
  'e\u0301',
  '🕊️',
  '\uffff',
  'x'.repeat(1024),
];
const MORE_KEYS = shortOrLong(8, 400);

program.describe('whatever is stored, in the console', () => {
  const shown = showConsole(program.path);

  test('any key opens, is edited and is deleted', async () => {
    const { page, dialog } = shown.tab;
    for (const key of new Set([...KEYS, ...fc.sample(anyKey(), { numRuns: MORE_KEYS, seed: 17 })])) {
      await shown.put(key, 'before');
      await shown.tab.openKey(key);
      await page.keyboard.press('e');
      await eventually(
        () => page.evaluate(`document.activeElement?.classList.contains('editor-text')`),
        'the editor',
      );
      await page.keyboard.press('Control+a');
      await page.keyboard.insertText('after');
      await page.keyboard.press('Control+s');
      await shown.tab.button('Edit').waitFor();
      expect(await shown.valueOf(key)).toBe('after');
      await page.keyboard.press('Delete');
      await dialog.getByRole('button', { name: 'Delete' }).click();
      await page.getByText('Choose a key').waitFor();
      expect(await shown.valueOf(key)).toBe('404');
    }
  });

  test('what is stored as markup is text wherever it is shown, and nothing complains', async () => {
    const { tab } = shown;
    const { page, dialog } = tab;
    await page.evaluate(
      `addEventListener('securitypolicyviolation', ({ violatedDirective }) => console.error(violatedDirective))`,
    );
    const elsewhere: string[] = [];
    page.on('request', (request) => elsewhere.push(new URL(request.url()).origin));
    // The feed has what comes after it was opened first.
    await tab.show('#/live');
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    await tab.untilLive();
    for (const attack of ATTACKS) {
      await shown.put(attack, attack, `text/html; x="${attack.replaceAll('"', "'")}"`);
      await tab.openKey(attack);
      await page.getByRole('tabpanel').getByText(attack, { exact: true }).waitFor();
      await tab.button('Edit').click();
      expect(await tab.editor.inputValue()).toBe(attack);
      await tab.button('Cancel').click();
    }
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" onload="window.stolen=1"/>`;
    await shown.put('svg', svg, 'image/svg+xml');
    await tab.openKey('svg');
    await page.getByRole('img', { name: /The value of/ }).waitFor({ state: 'attached' });
    await tab.show('#/live');
    await page.getByRole('row', { name: 'stored svg' }).waitFor();
    for (const attack of ATTACKS) await page.getByRole('link', { name: attack, exact: true }).waitFor();
    await tab.show('#/keys?delimiter=');
    await page.getByRole('option', { name: ATTACKS[0]! }).first().waitFor();
    await tab.show(`#/keys?delimiter=&${new URLSearchParams({ prefix: ATTACKS[0]! }).toString()}`);
    await page.getByText('1 key', { exact: true }).waitFor();
    await page.getByLabel('More', { exact: true }).click();
    await tab.button('Delete all with this prefix…').click();
    await dialog.getByText('Delete 1 entry?').waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    expect(await page.evaluate('window.stolen')).toBeUndefined();
    expect([...new Set(elsewhere)]).toEqual([`http://127.0.0.1:${shown.port}`]);
  });

  test('a token of a note of markup is text, too', async () => {
    const { page } = shown.tab;
    await shown.tab.show('#/tokens');
    await page.getByRole('heading', { name: 'No tokens' }).waitFor();
    await shown.tab.button('New token').click();
    await shown.tab.dialog.getByLabel('What for').fill(ATTACKS[0]!);
    await shown.tab.button('Make it').click();
    const secret = await page.locator('output').innerText();
    await shown.tab.button('I have it').click();
    await page.getByLabel('Token').fill(secret);
    await shown.tab.button('Sign in').click();
    await page.getByRole('row', { name: ATTACKS[0]! }).waitFor();
    for (const note of ATTACKS) {
      const headers = { Authorization: `Bearer ${secret}` };
      await ask(shown.port, '/tokens', {
        method: 'POST',
        headers,
        body: JSON.stringify({ note, can: ['read'] }),
      });
    }
    // The token is kept in the tab, and another view lists them anew.
    await shown.tab.show('#/keys');
    await shown.tab.show('#/tokens');
    for (const note of ATTACKS)
      await page.getByLabel(`Actions for ${note}`, { exact: true }).last().waitFor();
    expect(await page.evaluate('window.stolen')).toBeUndefined();
  });
});
