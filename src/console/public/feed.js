// All changes, the newest first, since the view was opened.
import { undo } from 'pigeonhole/past';
import { linkTo } from './address.js';
import { db } from './api.js';
import { counted, shortBytes } from './format.js';
import { onChanges } from './live.js';
import { Blank, Key, say } from './parts.js';
import { may } from './session.js';
import { html, signal } from './ui.js';

const MOST = 500;
const WORDS = { put: 'stored', delete: 'deleted', expire: 'expired' };
const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

const changes = signal([]);
const isPaused = signal(false);
/** What came while the feed stands still. */
const waiting = signal([]);
const filter = signal('');
const kinds = signal({ put: true, delete: true, expire: true });
let count = 0;

onChanges((came) => {
  if (came === undefined) return;
  const place = isPaused.peek() ? waiting : changes;
  const numbered = came.map((change) => ({ ...change, n: count++ })).toReversed();
  place.value = [...numbered, ...place.peek()].slice(0, MOST);
});

function pause() {
  isPaused.value = !isPaused.value;
  if (isPaused.value) return;
  changes.value = [...waiting.value, ...changes.value].slice(0, MOST);
  waiting.value = [];
}

export function Feed() {
  const shown = changes.value.filter(({ kind, key }) => kinds.value[kind] && key.includes(filter.value));
  return html`<section class="feed page" tabindex="0" aria-label="Live">
    <h1 class="hidden">Live</h1>
    <div class="bar">
      <input
        type="search"
        aria-label="Only keys that contain"
        placeholder="Only keys that contain…"
        spellcheck="false"
        value=${filter.value}
        onInput=${(event) => (filter.value = event.target.value)}
      />
      <div class="checks" role="group" aria-label="Kinds of changes">
        ${Object.entries(WORDS).map(
          ([kind, word]) =>
            html`<label
              ><input
                type="checkbox"
                checked=${kinds.value[kind]}
                onChange=${() => (kinds.value = { ...kinds.value, [kind]: !kinds.value[kind] })}
              />${word}</label
            >`,
        )}
      </div>
      <span class="push"></span>
      <button type="button" aria-pressed=${isPaused.value} onClick=${pause}>
        ${isPaused.value ? `Go on${waiting.value.length > 0 ? ` (${waiting.value.length} new)` : ''}` : 'Pause'}
      </button>
      <button type="button" onClick=${() => (changes.value = [])}>Clear</button>
    </div>
    ${shown.length === 0 ? html`<${NothingShown} />` : html`<${Table} shown=${shown} />`}
  </section>`;
}

function NothingShown() {
  const { length } = changes.value;
  if (length > 0)
    return html`<${Blank} title="Nothing to show"><p>${counted(length, 'change')} came, of other kinds or keys.</p></${Blank}>`;
  return html`<${Blank} title="Nothing has changed yet"><p>Changes show up here as they happen.</p></${Blank}>`;
}

function Table({ shown }) {
  return html`<div class="table-box" tabindex="0" role="region" aria-label="Changes">
    <table>
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col">What</th>
          <th scope="col">Key</th>
          <th scope="col" class="wide">Value</th>
          <th scope="col" class="wide number">Size</th>
          ${may('write') && html`<th scope="col"><span class="hidden">Way back</span></th>`}
        </tr>
      </thead>
      <tbody>
        ${shown.map((change) => html`<${Line} key=${change.n} change=${change} />`)}
      </tbody>
    </table>
  </div>`;
}

/** Takes a change back, unless the key was changed once more. */
async function takeBack({ key, etag }) {
  try {
    await undo(db, key, { etag });
    say('Undone');
  } catch (error) {
    say(
      error.status === 412 ? 'The key was changed once more since. Look at its history.' : error.message,
      true,
    );
  }
}

function Line({ change }) {
  const { kind, key, at, value, base64, size, type } = change;
  const preview = value?.slice(0, 120) ?? (base64 === undefined ? '' : `bytes of ${type}`);
  return html`<tr class="touched-${kind}">
    <td class="mono whole">${CLOCK.format(at)}</td>
    <td><span class="kind ${kind}">${WORDS[kind]}</span></td>
    <td>
      <a href=${linkTo('keys', { key })}><${Key} text=${key} /></a>
    </td>
    <td class="wide preview"><bdi>${preview}</bdi></td>
    <td class="wide number">${size === undefined ? '' : shortBytes(size)}</td>
    ${may('write') && html`<td class="number"><button type="button" class="small" aria-label=${`Undo ${WORDS[kind]} ${key}`} onClick=${() => takeBack(change)}>Undo</button></td>`}
  </tr>`;
}
