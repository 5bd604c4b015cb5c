// One entry: what it is, what it holds, and what can be done with it.
import { address, go, linkWith } from './address.js';
import { copyItems } from './copy-as.js';
import {
  downloadEntry,
  increaseBy,
  openDelete,
  openDuplicate,
  openExpiry,
  openRename,
  replaceWithFile,
} from './change-entry.js';
import { Editor, mayEdit } from './editor.js';
import { OpenEntry } from './entry.js';
import { formatAgo, formatBytes, formatSpan, formatTime } from './format.js';
import { Blank, copy, Failure, Icon, Key, Later, Menu, Spinner, useSeconds } from './parts.js';
import { newEntry } from './new-entry.js';
import { may } from './session.js';
import { ValueView } from './value-view.js';
import { html, signal, useEffect, useMemo } from './ui.js';

/** A key that is longer may have to be scrolled. */
const LONG_KEY = 100;

/** What is open, for the keyboard. */
export const present = signal(undefined);
/** Whether it is being edited. */
export const isEditing = signal(false);

export function EntryPane({ entryKey }) {
  const entry = useMemo(() => new OpenEntry(entryKey), []);
  useEffect(() => {
    present.value = entry;
    return () => {
      entry.close();
      present.value = undefined;
      isEditing.value = false;
    };
  }, []);
  return html`<${Head} entry=${entry} /><${Body} entry=${entry} />`;
}

function Body({ entry }) {
  // The entry is one object for as long as it is open: what shows it is made anew for each version.
  const version = entry.version.value;
  const state = entry.state.value;
  const past = address.value.params.history;
  if (state === 'failed') return html`<${Failure} error=${entry.error} onRetry=${() => entry.load()} />`;
  if (state === 'loading') return html`<${Spinner} />`;
  const done = () => {
    isEditing.value = entry.isEditing = false;
    // What was read before the save is no longer acted on: a deletion would carry its tag, and be refused.
    entry.state.value = 'loading';
    void entry.load();
  };
  if (isEditing.value) return html`<${Editor} entry=${entry} onDone=${done} />`;
  if (past !== undefined) return html`<${Later} load=${loadHistory} entryKey=${entry.key} chosen=${past} />`;
  if (state === 'absent') return html`<${Absent} entry=${entry} />`;
  return html`<${Facts} key=${`facts ${version}`} entry=${entry} /><${ValueView}
      key=${version}
      entry=${entry}
    />`;
}

const loadHistory = async () => (await import('./history.js')).History;

/** Shows what the entry held before, or again what it holds. */
export function toggleHistory() {
  const isOpen = address.value.params.history !== undefined;
  if (!isEditing.value) go(linkWith({ history: isOpen ? undefined : '' }));
}

function Absent({ entry }) {
  return html`<${Blank} title="No such entry"><p>Nothing is stored under this key, or no longer.</p>
    <div class="choices">
      <button type="button" onClick=${toggleHistory}>Look at its past</button>
      ${may('write') && html`<button type="button" onClick=${() => newEntry(entry.key)}>Make it</button>`}
    </div>
  </${Blank}>`;
}

/** Begins to edit what is open. */
export function startEditing() {
  const entry = present.value;
  if (!entry || entry.state.value !== 'ready' || !may('write') || !mayEdit(entry)) return;
  isEditing.value = entry.isEditing = true;
}

function Head({ entry }) {
  void entry.version.value;
  const isReady = entry.state.value === 'ready' && !isEditing.value;
  const canWrite = isReady && may('write');
  return html`<header class="entry-head ${entry.isTouched.value ? 'touched-put' : ''}">
    <a class="button icon-button back" href=${linkWith({ key: undefined })} aria-label="Back to the list"
      ><${Icon} name="back"
    /></a>
    <h1 tabindex=${entry.key.length > LONG_KEY ? 0 : undefined}><${Key} text=${entry.key} /></h1>
    <div class="entry-actions">
      ${canWrite && html`<${Counter} key=${entry.version.value} entry=${entry} />`}
      ${canWrite && mayEdit(entry) && html`<button type="button" title="Edit (e)" onClick=${startEditing}>Edit</button>`}
      ${!isEditing.value && ['ready', 'absent'].includes(entry.state.value) && html`<${HistoryButton} />`}
      ${isReady && html`<${Menu} label="Copy" text="Copy" items=${copyItems(entry)} />`}
      ${isReady && html`<${Menu} label="More of this entry" icon="more" items=${actionsOf(entry)} />`}
      <button
        type="button"
        class="icon-button close"
        aria-label="Close"
        title="Close (Esc)"
        onClick=${() => go(linkWith({ key: undefined }))}
      >
        <${Icon} name="close" />
      </button>
    </div>
  </header>`;
}

function HistoryButton() {
  const isOpen = address.value.params.history !== undefined;
  return html`<button
    type="button"
    class="icon-button"
    aria-label="History"
    title="History (v)"
    aria-pressed=${isOpen}
    onClick=${toggleHistory}
  >
    <${Icon} name="history" />
  </button>`;
}

function actionsOf(entry) {
  const writes = may('write');
  return [
    ['Download', () => downloadEntry(entry)],
    writes && ['Replace with a file…', () => replaceWithFile(entry)],
    writes && ['Duplicate…', () => openDuplicate(entry)],
    writes && ['Rename…', () => openRename(entry)],
    writes && ['Expiry…', () => openExpiry(entry)],
    writes && ['Delete…', () => openDelete(entry), 'danger'],
  ];
}

function Counter({ entry }) {
  if (!/^-?\d{1,19}$/.test(entry.about.size <= 20 ? (entry.text ?? '') : '')) return null;
  return html`<div class="counter" role="group" aria-label="Counter">
    <button type="button" aria-label="One less" onClick=${() => increaseBy(entry, -1)}>−</button>
    <button type="button" aria-label="One more" onClick=${() => increaseBy(entry, 1)}>+</button>
  </div>`;
}

function Facts({ entry }) {
  const { type, size, etag, created, modified, expires } = entry.about;
  return html`<dl class="facts">
    <div>
      <dt>Type</dt>
      <dd class="mono">${type}</dd>
    </div>
    <div>
      <dt>Size</dt>
      <dd title=${`${size} bytes`}>${formatBytes(size)}</dd>
    </div>
    <div>
      <dt>Created</dt>
      <dd title=${created}>${formatTime(created)}</dd>
    </div>
    <div>
      <dt>Modified</dt>
      <dd title=${modified}><${Ago} time=${modified} /></dd>
    </div>
    <div>
      <dt>Expires</dt>
      <dd>${expires ? html`<${Countdown} time=${expires} />` : 'never'}</dd>
    </div>
    <div>
      <dt>Tag</dt>
      <dd>
        <button type="button" class="plain mono" title="Copy the tag" onClick=${() => copy(etag, 'Tag')}>
          ${etag}
        </button>
      </dd>
    </div>
  </dl>`;
}

function Ago({ time }) {
  useSeconds();
  return formatAgo(time);
}

function Countdown({ time }) {
  useSeconds();
  const left = Date.parse(time) - Date.now();
  return html`<span class="countdown" title=${formatTime(time)}
    >${left > 0 ? `in ${formatSpan(left)}` : 'now'}</span
  >`;
}
