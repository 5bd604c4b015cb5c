// The keyboard.
import { address, go, linkTo, linkWith } from './address.js';
import * as browsing from './browsing.js';
import { openDelete } from './change-entry.js';
import { closeDialog, isDialogOpen, openDialog } from './dialogs.js';
import { editing } from './editor.js';
import { isEditing, present, startEditing, toggleHistory } from './entry-pane.js';
import { newEntry } from './new-entry.js';
import { may, state } from './session.js';
import { html } from './ui.js';

/** @typedef {[keys: string, what: string, act: (key: string) => unknown]} Shortcut */

/** @type {Shortcut[]} */
const IN_LIST = [
  ['j ArrowDown', 'next row', () => browsing.moveCursor(1)],
  ['k ArrowUp', 'row before', () => browsing.moveCursor(-1)],
  ['J Shift+ArrowDown', 'mark and go on', () => browsing.moveCursor(1, true)],
  ['K Shift+ArrowUp', 'mark and go back', () => browsing.moveCursor(-1, true)],
  ['PageDown', '20 rows down', () => browsing.moveCursor(20)],
  ['PageUp', '20 rows up', () => browsing.moveCursor(-20)],
  ['Home', 'first key', () => browsing.jumpCursor(false)],
  ['End', 'last key of all', () => browsing.jumpCursor(true)],
  ['Enter', 'open', () => browsing.openCursor()],
  ['x', 'mark', () => browsing.mark(browsing.list.value.rows[browsing.indexOfCursor()])],
  ['h Backspace', 'folder above', up],
  ['/', 'search', searchField],
  ['n', 'new entry', () => may('write') && newEntry()],
  ['e', 'edit what is open', () => startEditing()],
  ['v', 'versions of what is open', () => present.value && toggleHistory()],
  [
    'Delete',
    'delete what is open',
    () => present.value?.state.value === 'ready' && may('write') && openDelete(present.value),
  ],
];
/** @type {Shortcut[]} */
const ANYWHERE = [
  ['Ctrl+s', 'save', () => editing.value?.save()],
  ['Escape', 'close what is open', leave],
  ['?', 'this list', openHelp],
  ['1 2 3 4', 'views', (key) => go(viewLinks()[Number(key) - 1] ?? location.hash)],
];

function searchField() {
  /** @type {HTMLInputElement | null} */ (document.getElementById('finder'))?.select();
}

/** The links to the views that are offered. */
function viewLinks() {
  return [...document.querySelectorAll('.top nav a')].map((link) => link.getAttribute('href'));
}

function up() {
  const prefix = browsing.presentPrefix();
  const delimiter = browsing.delimiterOf(address.value.params);
  if (prefix === '') return;
  const inner = delimiter !== '' && prefix.endsWith(delimiter) ? prefix.slice(0, -delimiter.length) : prefix;
  const end = delimiter === '' ? -1 : inner.lastIndexOf(delimiter);
  go(linkWith({ prefix: end < 0 ? undefined : inner.slice(0, end + delimiter.length), key: undefined }));
}

function leave() {
  if (editing.value) return editing.value.leave();
  if (address.value.params.history !== undefined) toggleHistory();
  else if (address.value.params.key !== undefined) {
    go(linkWith({ key: undefined }));
    browsing.focusList();
  } else if (address.value.params.find !== undefined)
    go(linkTo('keys', { ...address.value.params, find: undefined }));
  return undefined;
}

/** Does what keys stand for, from now on. */
export function listenToKeys() {
  addEventListener('keydown', (event) => {
    if (state.value !== 'in' || isDialogOpen() || event.isComposing || event.defaultPrevented) return;
    const name = nameOf(event);
    const isTyping = isIn(event.target, 'input, textarea, select');
    if (isTyping && !['Ctrl+s', 'Escape'].includes(name)) return;
    const inList = address.value.view === 'keys' && !isEditing.value && browsing.list.value ? IN_LIST : [];
    const found = [...ANYWHERE, ...inList].find(([keys]) => keys.split(' ').includes(name));
    if (!found || isOwnKey(event, name)) return;
    event.preventDefault();
    void found[2](event.key);
  });
}

function nameOf({ key, ctrlKey, metaKey, shiftKey, altKey }) {
  if (altKey) return '';
  if (ctrlKey || metaKey) return `Ctrl+${key.toLowerCase()}`;
  return shiftKey && key.startsWith('Arrow') ? `Shift+${key}` : key;
}

function isIn(target, selector) {
  return target instanceof Element && target.closest(selector) !== null;
}

/** Whether the thing that has the focus has a use of its own for the key. */
function isOwnKey({ target }, name) {
  if (name === 'Enter') return isIn(target, 'a, button, summary');
  const scrolls = ['ArrowDown', 'ArrowUp', 'PageDown', 'PageUp', 'Home', 'End'].includes(name);
  return scrolls && isIn(target, '.entry-pane, .table-box, [role=tablist]');
}

export function openHelp() {
  openDialog(Help);
}

function Help() {
  /** @param {Shortcut} shortcut */
  const line = ([keys, what]) =>
    html`<div>
      <dt>${keys.split(' ').map((key) => html`<kbd>${LABELS[key] ?? key}</kbd> `)}</dt>
      <dd>${what}</dd>
    </div>`;
  return html`<h2 id="dialog-title">Keyboard</h2>
    <dl class="shortcuts">${[...IN_LIST, ...ANYWHERE].map(line)}</dl>
    <div class="dialog-actions">
      <button type="button" class="primary" autofocus onClick=${closeDialog}>Close</button>
    </div>`;
}

const LABELS = {
  ArrowDown: '↓',
  ArrowUp: '↑',
  'Shift+ArrowDown': 'Shift ↓',
  'Shift+ArrowUp': 'Shift ↑',
  'Ctrl+s': 'Ctrl S',
  Escape: 'Esc',
};
