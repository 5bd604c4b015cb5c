// The past of one key: its versions at the left, and at the right what differs.
import { putBack, undo } from 'pigeonhole/past';
import { go, linkWith } from './address.js';
import { db } from './api.js';
import { differenceOf, shortened } from './difference.js';
import { formatAgo, formatTime, shortBytes } from './format.js';
import { KeyPast } from './key-past.js';
import { Blank, Failure, say, Spinner, useSeconds } from './parts.js';
import { may } from './session.js';
import { html, signal, useEffect, useMemo, useState } from './ui.js';

export const KINDS = { put: 'stored', delete: 'deleted', expire: 'expired' };

/** Whether a version is compared with what is there now, and not with the one before it. */
const isWithNow = signal(false);

/** @param chosen the tag of the version that is looked at; empty for the newest */
export function History({ entryKey, chosen }) {
  const past = useMemo(() => new KeyPast(entryKey), []);
  useEffect(() => () => past.close(), []);
  void past.changed.value;
  if (past.state.value === 'loading') return html`<${Spinner} />`;
  if (past.state.value === 'failed') return html`<${NoPast} past=${past} />`;
  const version = past.versionOf(chosen);
  if (!version)
    return html`<${Blank} title="No past"><p>${past.isCut ? 'What it held before is not kept any more.' : 'Nothing was ever stored under this key.'}</p></${Blank}>`;
  return html`<div class="history">
    <${Versions} past=${past} version=${version} />
    <${Change} key=${version.etag} past=${past} version=${version} />
  </div>`;
}

function NoPast({ past }) {
  const { code, message } = past.error;
  if (code === 'history-gone') return html`<${Blank} title="Not kept any more"><p>${message}</p></${Blank}>`;
  return html`<${Failure} error=${past.error} onRetry=${() => past.load()} />`;
}

function Versions({ past, version }) {
  const { versions } = past;
  return html`<nav class="versions" aria-label="Versions">
    <ol>
      ${versions.map(
        (each) => html`<li key=${each.etag}><${Line} version=${each} isChosen=${each === version} /></li>`,
      )}
    </ol>
    ${
      past.hasMore
        ? html`<button type="button" onClick=${() => past.loadMore()}>Older versions</button>`
        : html`<p class="quiet">${past.isCut ? 'Nothing older is kept.' : 'Here it began.'}</p>`
    }
  </nav>`;
}

function Line({ version, isChosen }) {
  const { etag, kind, time, by, size } = version;
  const link = linkWith({ history: etag });
  // Looking through versions makes no steps of Back.
  const choose = (event) => {
    event.preventDefault();
    go(link, false);
  };
  return html`<a href=${link} aria-current=${isChosen ? 'true' : undefined} onClick=${choose}>
    <span class="kind ${kind}">${KINDS[kind]}</span>
    <span class="when" title=${formatTime(time)}><${Ago} time=${time} /></span>
    <span class="size">${kind === 'put' ? shortBytes(size) : ''}</span>
    ${by && html`<span class="by" title=${`By the token ${by}`}>${by}</span>`}
  </a>`;
}

function Ago({ time }) {
  useSeconds();
  // The greatest unit is enough here.
  return formatAgo(time).replace(/^(\d+ \S+) \d.*/, '$1 ago');
}

function Change({ past, version }) {
  const isNewest = version === past.versions[0];
  const other = isWithNow.value && !isNewest ? past.versions[0] : past.versionBefore(version);
  // In the order in which they were stored.
  const [before, after] = isWithNow.value && !isNewest ? [version, other] : [other, version];
  return html`<section class="change" aria-label="What differs">
    <div class="bar">
      <h2>${formatTime(version.time)}</h2>
      <span class="push"></span>
      ${may('write') && html`<${Back} past=${past} version=${version} isNewest=${isNewest} />`}
    </div>
    ${!isNewest && html`<${Comparison} />`}
    <${Difference} key=${`${before?.etag} ${after.etag}`} past=${past} before=${before} after=${after} />
  </section>`;
}

function Comparison() {
  return html`<label class="comparison"
    >Compared with
    <select
      value=${isWithNow.value ? 'now' : 'before'}
      onChange=${(event) => (isWithNow.value = event.target.value === 'now')}
    >
      <option value="before">the version before</option>
      <option value="now">the newest</option>
    </select>
  </label>`;
}

/** The way back: from the newest change to what was before it, or to the version that is looked at. */
function Back({ past, version, isNewest }) {
  const { key, versions } = past;
  const [isBusy, setBusy] = useState(false);
  const attempt = async (work, done) => {
    setBusy(true);
    try {
      await work();
      go(linkWith({ history: '' }), false);
      say(done);
    } catch (error) {
      say(error.status === 412 ? 'Somebody has changed the entry meanwhile.' : error.message, true);
    }
    setBusy(false);
  };
  const condition = versions[0].kind === 'put' ? { ifMatch: versions[0].etag } : { ifNoneMatch: '*' };
  if (isNewest)
    return html`<button
      type="button"
      disabled=${isBusy}
      onClick=${() => attempt(() => undo(db, key, { etag: version.etag }), 'Undone')}
    >
      Undo this change
    </button>`;
  if (version.kind !== 'put') return null;
  return html`<button
    type="button"
    disabled=${isBusy}
    onClick=${() => attempt(() => putBack(db, key, version.etag, condition), 'Put back')}
  >
    Put this version back
  </button>`;
}

function Difference({ past, before, after }) {
  const [held, setHeld] = useState(undefined);
  useEffect(() => {
    void Promise.all([past.held(before), past.held(after)]).then(setHeld);
  }, []);
  if (!held) return html`<${Spinner} />`;
  const [was, is] = held;
  return html`<div class="difference" tabindex="0" role="region" aria-label="Lines that differ">
    <p class="quiet">${sentenceOf(before, after)}</p>
    ${was.why && html`<p>Before: ${was.why}</p>`} ${is.why && html`<p>After: ${is.why}</p>`}
    ${!was.why && !is.why && html`<${Lines} was=${was.text} is=${is.text} />`}
  </div>`;
}

function sentenceOf(before, after) {
  if (after.kind !== 'put') return `The entry was ${KINDS[after.kind]}. It held:`;
  if (before?.kind !== 'put') return `The entry was made, with the type ${after.type}.`;
  if (before.type !== after.type) return `The type was ${before.type}, and became ${after.type}.`;
  return `The type is ${after.type}.`;
}

function Lines({ was, is }) {
  const lines = useMemo(() => differenceOf(was, is), [was, is]);
  if (!lines) return html`<p>These are too many lines to compare.</p>`;
  if (lines.every(({ sign }) => sign === ' ')) return html`<p>The value is the same.</p>`;
  return html`<ol class="lines">
    ${shortened(lines).map((line) =>
      'left' in line
        ? html`<li class="left">${line.left} lines that are the same</li>`
        : html`<li class=${WORDS[line.sign]}>
            <span class="sign" aria-hidden="true">${SIGNS[line.sign]}</span>
            ${LABELS[line.sign] && html`<span class="hidden">${LABELS[line.sign]}</span>`}<bdi dir="auto"
              >${line.text}</bdi
            >
          </li>`,
    )}
  </ol>`;
}

const WORDS = { '-': 'gone', '+': 'new', ' ': 'same' };
const SIGNS = { '-': '−', '+': '+', ' ': ' ' };
const LABELS = { '-': 'Gone: ', '+': 'New: ' };
