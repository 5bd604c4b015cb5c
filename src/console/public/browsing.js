// The list that is shown, the row that the keyboard is at, and the marked ones.
import { address, go, linkWith } from './address.js';
import { connection, onChanges } from './live.js';
import { Listing } from './listing.js';
import { Search } from './search.js';
import { batch, effect, signal } from './ui.js';

/**
 * What the list shows.
 * @type {import('@preact/signals').Signal<Listing | Search | undefined>}
 */
export const list = signal(undefined);
/** The key of the row that the keyboard is at. */
export const cursor = signal(undefined);
/**
 * The marked keys, with the tags they had.
 * @type {import('@preact/signals').Signal<Map<string, string>>}
 */
export const marked = signal(new Map());

/** What keys are folded by; nothing for a flat list. */
export function delimiterOf({ delimiter = '/' }) {
  return delimiter;
}

let shown;

/** Shows what the address names. Must be called when that changes. */
export function showListOf(params) {
  const what = JSON.stringify([params.prefix ?? '', delimiterOf(params), params.find ?? '']);
  if (what === shown) return;
  shown = what;
  list.peek()?.close();
  const { prefix = '', find = '' } = params;
  batch(() => {
    list.value = find === '' ? new Listing(prefix, delimiterOf(params)) : new Search(prefix, find);
    marked.value = new Map();
    cursor.value = undefined;
  });
}

/** Forgets what is shown, as for another token. */
export function forgetList() {
  list.peek()?.close();
  list.value = undefined;
  shown = undefined;
}

onChanges((changes, position) => {
  if (changes === undefined) return void list.peek()?.refresh(position);
  list.peek()?.apply(changes);
  const gone = changes.filter(({ kind, key }) => kind !== 'put' && marked.peek().has(key));
  if (gone.length === 0) return undefined;
  const left = new Map(marked.peek());
  for (const { key } of gone) left.delete(key);
  marked.value = left;
  return undefined;
});

// A list that could not be loaded is loaded when the server is there again.
effect(() => {
  if (connection.value === 'live' && list.peek()?.state.peek() === 'failed') void list.peek().refresh();
});

/** Moves the cursor by rows. @param marks whether rows on the way are marked */
export function moveCursor(by, marks = false) {
  const { rows } = list.value;
  if (rows.length === 0) return;
  const at = indexOfCursor();
  const next = at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by));
  if (marks) {
    mark(rows[Math.max(at, 0)], true);
    mark(rows[next], true);
  }
  cursor.value = rows[next].key;
}

/** Goes to the beginning of all, or to their end. */
export async function jumpCursor(toEnd) {
  await list.value.jump(toEnd);
  cursor.value = list.value.rows.at(toEnd ? -1 : 0)?.key;
}

export function indexOfCursor() {
  const { rows } = list.value;
  return cursor.value === undefined ? -1 : rows.findIndex(({ key }) => key === cursor.value);
}

/** Opens the row of a key: a folder to be looked into, an entry beside the list. */
export function openRow(row) {
  cursor.value = row.key;
  go(row.isFolder ? linkWith({ prefix: row.key, key: undefined }) : linkWith({ key: row.key }));
}

export function openCursor() {
  const row = list.value.rows[indexOfCursor()];
  if (row) openRow(row);
}

/** Marks a row, or takes its mark away. Folders have none. */
export function mark(row, isMarked = !marked.value.has(row?.key)) {
  if (!row || row.isFolder) return;
  const next = new Map(marked.value);
  if (isMarked) next.set(row.key, row.item.etag);
  else next.delete(row.key);
  marked.value = next;
}

/** Marks all rows from the cursor to one. */
export function markTo(row) {
  const { rows } = list.value;
  const [a, b] = [Math.max(0, indexOfCursor()), rows.indexOf(row)].toSorted((x, y) => x - y);
  const next = new Map(marked.value);
  for (const { key, item } of rows.slice(a, b + 1)) if (item) next.set(key, item.etag);
  marked.value = next;
  cursor.value = row.key;
}

/** Takes the keyboard to the list. */
export function focusList() {
  /** @type {HTMLElement | null} */ (document.querySelector('.list-pane .rows'))?.focus();
}

/** The prefix that is looked at. */
export function presentPrefix() {
  return address.value.params.prefix ?? '';
}
