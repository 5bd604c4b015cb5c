// What an entry holds, as JSON, text, an image or bytes.
import { downloadEntry } from './change-entry.js';
import { FIRST_BYTES } from './entry.js';
import { essenceOf, formatBytes, isImage, isJson } from './format.js';
import { HexView } from './hex.js';
import { formatJson } from './json-lexer.js';
import { TextView } from './text-view.js';
import { html, useEffect, useMemo, useState } from './ui.js';

/** More than this is not formatted, so that the page answers at once. */
const MOST_FORMATTED = 4 * 1024 * 1024;
const NAMES = { json: 'JSON', text: 'Text', image: 'Image', hex: 'Bytes' };

/** What was chosen last: it stays so for what is opened next, and for the next version. */
let remembered;

export function ValueView({ entry }) {
  const kinds = useMemo(() => kindsOf(entry), [entry.about, entry.bytes]);
  const [chosen, setChosen] = useState(remembered);
  const choose = (each) => {
    remembered = each;
    setChosen(each);
  };
  const kind = kinds.includes(chosen) ? chosen : kinds[0];
  const tabs = kinds.map(
    (each) =>
      html`<button
        type="button"
        role="tab"
        id=${`tab-${each}`}
        aria-selected=${each === kind}
        aria-controls="value"
        tabindex=${each === kind ? 0 : -1}
        onClick=${() => choose(each)}
      >
        ${NAMES[each]}
      </button>`,
  );
  const onKeyDown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const next = kinds[(kinds.indexOf(kind) + step + kinds.length) % kinds.length];
    choose(next);
    document.getElementById(`tab-${next}`).focus();
  };
  return html`<div class="tabs" role="tablist" aria-label="How to show the value" onKeyDown=${onKeyDown}>
      ${tabs}
    </div>
    <div class="value" id="value" role="tabpanel" aria-labelledby=${`tab-${kind}`} tabindex="0">
      <${Shown} kind=${kind} entry=${entry} />
    </div>
    ${!entry.isWhole && html`<${Partial} entry=${entry} />`}`;
}

/** Returns how a value can be shown, the best first. */
function kindsOf({ about, text, isWhole }) {
  const kinds = [];
  if (isImage(about.type) && isWhole) kinds.push('image');
  if (text === undefined) return [...kinds, 'hex'];
  const looksJson =
    isJson(about.type) || (essenceOf(about.type).startsWith('text/') && /^\s*[{[]/.test(text));
  if (looksJson && text.length <= MOST_FORMATTED) {
    const { fault } = formatJson(text);
    if (!fault || (fault.isEnd && !isWhole) || isJson(about.type)) kinds.push('json');
  }
  return [...kinds, 'text', 'hex'];
}

function Shown({ kind, entry }) {
  if (kind === 'image') return html`<${ImageView} entry=${entry} />`;
  if (kind === 'hex') return html`<${HexView} bytes=${entry.bytes} />`;
  if (kind === 'json') return html`<${JsonView} entry=${entry} />`;
  if (entry.about.size === 0) return html`<p class="quiet">The value is empty.</p>`;
  return html`<${TextView} text=${entry.text} />`;
}

function JsonView({ entry }) {
  const { text, marks, fault } = useMemo(() => formatJson(entry.text), [entry.bytes]);
  const isWrong = fault && !(fault.isEnd && !entry.isWhole);
  return html`${isWrong && html`<p class="warning">No JSON from line ${fault.line}, column ${fault.column} on: ${fault.message}</p>`}
    <${TextView} text=${text} marks=${marks} />`;
}

/** An image of its own bytes: the value is loaded as a picture, and not as a page. */
function ImageView({ entry }) {
  const [url, setUrl] = useState(undefined);
  const [isBroken, setBroken] = useState(false);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([entry.bytes], { type: essenceOf(entry.about.type) }));
    setUrl(made);
    setBroken(false);
    return () => URL.revokeObjectURL(made);
  }, [entry.bytes]);
  if (isBroken)
    return html`<p class="warning">
      The browser cannot show these bytes as ${essenceOf(entry.about.type)}.
    </p>`;
  return (
    url &&
    html`<img
      class="picture"
      src=${url}
      alt=${`The value of ${entry.key}`}
      onError=${() => setBroken(true)}
    />`
  );
}

function Partial({ entry }) {
  const [isBusy, setBusy] = useState(false);
  const loadAll = async () => {
    setBusy(true);
    await entry.load(Infinity);
    setBusy(false);
  };
  return html`<div class="partial" role="status">
    <span>The first ${formatBytes(FIRST_BYTES)} of ${formatBytes(entry.about.size)}</span>
    <button type="button" disabled=${isBusy} onClick=${loadAll}>${isBusy ? 'Loading…' : 'Load all'}</button>
    <button type="button" onClick=${() => downloadEntry(entry)}>Download</button>
  </div>`;
}
