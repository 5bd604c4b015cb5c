// The keys at the left, and what is open at the right.
import { address, go, linkTo, linkWith } from './address.js';
import * as browsing from './browsing.js';
import { SERVER } from './api.js';
import { copyListItems } from './copy-as.js';
import { deletePrefix, deleteMarked, exportMarked, exportPrefix } from './many.js';
import { newEntry, uploadFiles } from './new-entry.js';
import { openDialog } from './dialogs.js';
import { EntryPane } from './entry-pane.js';
import { counted, essenceOf, formatCount, formatSpan, isImage, isJson, shortBytes } from './format.js';
import { Blank, Failure, Icon, Key, Menu, Spinner } from './parts.js';
import { pathOf } from './keys.js';
import { Rows } from './rows.js';
import { may } from './session.js';
import { html, useEffect, useRef, useState } from './ui.js';

/** A finger needs more room than a pointer; views.css has the same heights. */
const ROW_PX = matchMedia('(pointer: coarse)').matches ? 44 : 30;
const TYPING_MS = 180;

export function Browse() {
  const { params } = address.value;
  useEffect(() => browsing.showListOf(params), [params]);
  const isOpen = params.key !== undefined;
  return html`<div class="browse ${isOpen ? 'has-entry' : ''}">
    <section class="list-pane" aria-label="Keys" ...${useDrop()}>
      <h1 class="hidden">Keys</h1>
      <${Finder} params=${params} />
      <${Crumbs} params=${params} />
      ${browsing.list.value && html`<${List} list=${browsing.list.value} params=${params} />`}
    </section>
    <section class="entry-pane" aria-label="Entry">
      ${isOpen ? html`<${EntryPane} key=${params.key} entryKey=${params.key} />` : html`<${NothingOpen} />`}
    </section>
  </div>`;
}

function NothingOpen() {
  return html`<div class="nothing-open">
    <p>Choose a key to see what it holds.</p>
    <p>
      <kbd>j</kbd> <kbd>k</kbd> move, <kbd>Enter</kbd> opens, <kbd>/</kbd> searches, <kbd>?</kbd> lists the
      rest.
    </p>
  </div>`;
}

/** Files that are dropped on the list are stored. */
function useDrop() {
  const [isOver, setOver] = useState(false);
  if (!may('write')) return {};
  return {
    'data-drop': isOver ? 'over' : undefined,
    onDragOver: (event) => {
      if (![...event.dataTransfer.types].includes('Files')) return;
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: (event) => {
      event.preventDefault();
      setOver(false);
      void uploadFiles([...event.dataTransfer.files]);
    },
  };
}

/** Jumps to a prefix, or searches for a part of keys. */
function Finder({ params }) {
  const isSearch = params.find !== undefined;
  const present = (isSearch ? params.find : params.prefix) ?? '';
  const [text, setText] = useState(present);
  const timer = useRef(undefined);
  const typed = useRef(present);
  useEffect(() => {
    // What comes of typing does not come back into the field, where somebody may type on.
    if (present !== typed.current) setText(present);
    typed.current = present;
  }, [present]);
  const show = (value) => {
    clearTimeout(timer.current);
    setText(value);
    timer.current = setTimeout(() => {
      typed.current = value;
      go(linkWith(isSearch ? { find: value } : { prefix: value || undefined }), false);
    }, TYPING_MS);
  };
  const change = (asSearch) => {
    go(linkWith({ find: asSearch ? '' : undefined }), false);
    document.getElementById('finder').focus();
  };
  return html`<div class="finder" role="search">
    <div class="finder-field">
      <${Icon} name="search" />
      <input
        id="finder"
        type="search"
        spellcheck="false"
        autocomplete="off"
        maxlength="1024"
        dir="auto"
        aria-label=${isSearch ? 'Keys that contain' : 'Keys that begin with'}
        placeholder=${isSearch ? 'Any part of a key' : 'Beginning of a key'}
        value=${text}
        onInput=${(event) => show(event.target.value)}
        onKeyDown=${leaveFinder}
      />
      <select
        aria-label="How to search"
        value=${isSearch ? 'part' : 'start'}
        onChange=${(event) => change(event.target.value === 'part')}
      >
        <option value="start">begins</option>
        <option value="part">contains</option>
      </select>
    </div>
    ${
      may('write') &&
      html`<button type="button" class="button" title="New entry (n)" onClick=${newEntry}>
        <${Icon} name="plus" /><span class="new">New</span>
      </button>`
    }
    <${Menu} label="More" icon="more" items=${rangeActions()} />
  </div>`;
}

function leaveFinder(event) {
  if (event.key !== 'ArrowDown' && event.key !== 'Enter') return;
  event.preventDefault();
  browsing.moveCursor(browsing.cursor.value === undefined ? 0 : 1);
  browsing.focusList();
}

function rangeActions() {
  const writes = may('write');
  const whole = browsing.presentPrefix() === '' ? 'everything' : 'all with this prefix';
  return [
    writes && ['Upload files…', chooseFiles],
    writes && ['Import lines…', async () => openDialog((await import('./import.js')).ImportDialog)],
    [`Export ${whole}`, exportPrefix],
    ...copyListItems(browsing.presentPrefix()),
    writes && [
      `Put ${whole} back to…`,
      async () =>
        openDialog((await import('./restore.js')).RestoreDialog, { prefix: browsing.presentPrefix() }),
    ],
    writes && [`Delete ${whole}…`, deletePrefix, 'danger'],
  ];
}

function chooseFiles() {
  const input = document.createElement('input');
  input.type = 'file';
  input.multiple = true;
  input.onchange = () => uploadFiles([...input.files]);
  input.click();
}

/** Where in the folders one is, and what makes them. */
function Crumbs({ params }) {
  const delimiter = browsing.delimiterOf(params);
  const { folders, rest } = pathOf(params.prefix ?? '', delimiter);
  const link = (prefix) => linkTo('keys', { delimiter: params.delimiter, prefix });
  return html`<nav class="crumbs" aria-label="Folders">
    <div class="crumbs-path">
      <a href=${link(undefined)}>All keys</a>
      ${folders.map(({ prefix, name }) => html`<a href=${link(prefix)}><${Key} text=${name} /></a>`)}
      ${rest !== '' && html`<span><${Key} text=${rest} />…</span>`}
    </div>
    <label title="What makes folders of keys; empty for a flat list"
      >folders by
      <input
        class="delimiter"
        size="2"
        maxlength="8"
        value=${delimiter}
        spellcheck="false"
        placeholder="–"
        onInput=${(event) => go(linkWith({ delimiter: event.target.value === '/' ? undefined : event.target.value }), false)}
      />
    </label>
  </nav>`;
}

function List({ list, params }) {
  void list.changed.value;
  const { rows } = list;
  if (list.state.value === 'failed' && rows.length === 0)
    return html`<${Failure} error=${list.error} onRetry=${() => list.after()} />`;
  const isLoading = list.state.value === 'loading';
  if (rows.length === 0 && !isLoading) return html`<${NoKeys} list=${list} params=${params} />`;
  const shift = () => {
    const moved = list.shift;
    list.shift = 0;
    return moved;
  };
  return html`<${Rows}
      key=${list}
      role="listbox"
      aria-label="Keys"
      aria-multiselectable="true"
      tabindex="0"
      aria-activedescendant=${browsing.cursor.value === undefined ? undefined : 'at-cursor'}
      count=${rows.length}
      height=${ROW_PX}
      shift=${shift}
      seen=${browsing.indexOfCursor()}
      onNear=${(where) => list.state.peek() !== 'failed' && void list[where]()}
      render=${(i) => html`<${Row} key=${rows[i].key} row=${rows[i]} list=${list} open=${params.key} version=${list.changed.value} />`}
    />
    <${Foot} list=${list} isLoading=${isLoading} />`;
}

function Row({ row, list, open }) {
  const { key, item, isFolder } = row;
  const isMarked = browsing.marked.value.has(key);
  const isAt = browsing.cursor.value === key;
  // What the path above says already; half of a name says nothing.
  const name = list.text === undefined ? key.slice(folderIn(list)) || key : key;
  const onClick = (event) => {
    if (event.shiftKey) return browsing.markTo(row);
    if (event.ctrlKey || event.metaKey || event.target.closest('.tick')) {
      browsing.cursor.value = key;
      return browsing.mark(row);
    }
    return browsing.openRow(row);
  };
  const classes = [
    isAt && 'at',
    key === open && 'open',
    list.touched.has(key) && `touched-${list.touched.get(key)}`,
  ];
  return html`<div
    role="option"
    id=${isAt ? 'at-cursor' : undefined}
    class="row ${classes.filter(Boolean).join(' ')}"
    aria-selected=${key === open}
    aria-checked=${isFolder ? undefined : isMarked}
    onClick=${onClick}
  >
    <span class="tick" aria-hidden="true"
      >${isMarked && html`<${Icon} name="check" />`} <${Icon} name=${isFolder ? 'folder' : iconOf(item.type)}
    /></span>
    <${Key} text=${name} />
    ${!isFolder && item.expires && html`<span class="row-expiry" title="It ends by itself"><${Icon} name="clock" />${leftOf(item.expires)}</span>`}
    <span class="row-size">${isFolder ? '' : shortBytes(item.size)}</span>
  </div>`;
}

/** How much of its keys the folder is in which a list begins. */
function folderIn({ prefix, delimiter }) {
  return pathOf(prefix, delimiter).folders.at(-1)?.prefix.length ?? 0;
}

function iconOf(type) {
  if (isJson(type)) return 'json';
  if (isImage(type)) return 'image';
  return essenceOf(type).startsWith('text/') ? 'text' : 'bytes';
}

function leftOf(expires) {
  const left = formatSpan(Math.max(0, Date.parse(expires) - Date.now()));
  // The greatest unit is enough here.
  return left.match(/^\d+ \w+/)?.[0] ?? left;
}

function Foot({ list, isLoading }) {
  const { size } = browsing.marked.value;
  if (size > 0)
    return html`<footer class="list-foot marks">
      <span>${formatCount(size)} marked</span>
      <button type="button" onClick=${exportMarked}>Export</button>
      ${may('write') && html`<button type="button" class="danger" onClick=${deleteMarked}>Delete…</button>`}
      <button type="button" onClick=${() => (browsing.marked.value = new Map())}>Clear</button>
    </footer>`;
  if (list.text !== undefined) return html`<${SearchFoot} list=${list} isLoading=${isLoading} />`;
  return html`<footer class="list-foot">
    <span>${list.count.value === undefined ? '' : counted(list.count.value, 'key')}</span>
    ${list.state.value === 'failed' && html`<button type="button" onClick=${() => list.after()}>Try again</button>`}
    ${isLoading && html`<${Spinner} />`}
  </footer>`;
}

function SearchFoot({ list, isLoading }) {
  const looked = counted(list.looked.value, 'key');
  const text = `${formatCount(list.rows.length)} found in ${looked}${list.isStopped ? ', stopped' : ''}`;
  return html`<footer class="list-foot" role="status">
    <span>${text}</span>
    ${isLoading && html`<button type="button" onClick=${() => list.stop()}>Stop</button>`}
  </footer>`;
}

function NoKeys({ list, params }) {
  if (params.find)
    return html`<${Blank} title="Nothing found"><p>${formatCount(list.looked.value)} keys were looked at, and none contains <${Key} text=${params.find} />.</p></${Blank}>`;
  if (params.prefix)
    return html`<${Blank} title="No such key"><p>No key begins with <${Key} text=${params.prefix} />.</p>
      <p><a href=${linkTo('keys')}>Show all keys</a></p></${Blank}>`;
  return html`<${Blank} title="Nothing is stored yet">
    <p>Three lines for a terminal that change that. They show up here at once.</p>
    <pre class="sample" tabindex="0">${`curl -X PUT '${SERVER}kv/greeting' -d 'Hello'
curl -X PUT '${SERVER}kv/user/1' -H 'Content-Type: application/json' -d '{"name":"Ada"}'
curl -X PATCH '${SERVER}kv/visits?incr=1'`}</pre>
  </${Blank}>`;
}
