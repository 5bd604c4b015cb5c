// Somebody was faster: what was, what I have made of it, and what they have.
import { formatBytes } from './format.js';
import { formatJson } from './json-lexer.js';
import { merge } from './merge.js';
import { Failure } from './parts.js';
import { html, useLayoutEffect, useMemo, useState } from './ui.js';

/** @param saving what Ctrl+S is to do is put there */
export function Conflict({ base, mine, theirs, isJson, isBusy, error, saving, onBack, onTheirs, onSave }) {
  const isGone = theirs.etag === undefined;
  // Nothing, or bytes, cannot be joined with a text.
  const isText = theirs.text !== undefined;
  // Members that stand on one line cannot be merged line by line.
  const lay = (text) => (isJson && !formatJson(text).fault ? formatJson(text).text : text);
  const sides = useMemo(() => [base, mine, theirs.text ?? ''].map(lay), [base, mine, theirs]);
  const start = useMemo(() => (isText ? merge(...sides) : { text: mine, conflicts: 0 }), [sides]);
  const [text, setText] = useState(start.text);
  const places =
    start.conflicts === 0
      ? ''
      : `, with ${start.conflicts === 1 ? 'a place' : `${start.conflicts} places`} to decide between the marks`;
  const isDecided = !/^(<{7} mine|>{7} theirs)$/m.test(text);
  useLayoutEffect(() => {
    saving.current = () => isDecided && onSave(text);
  });
  const what = isGone ? ': deleted' : isText ? '' : `: ${formatBytes(theirs.size)} of ${theirs.type}`;
  const names = ['Before', 'Mine', `Theirs${what}`];
  return html`<div class="conflict">
    <h2>
      ${isGone ? 'Somebody has deleted the entry meanwhile' : 'Somebody has changed the entry meanwhile'}
    </h2>
    <div class="sides">
      ${sides.map(
        (side, i) =>
          html`<section>
            <h3>${names[i]}</h3>
            <pre tabindex="0" aria-label=${names[i]} dir="auto">${marked(side, sides[0])}</pre>
          </section>`,
      )}
    </div>
    <label class="merged"
      ><span>To be saved${places}</span>
      <textarea
        class="editor-text"
        spellcheck="false"
        dir="auto"
        value=${text}
        onInput=${(event) => setText(event.target.value)}
      ></textarea>
    </label>
    ${error && html`<${Failure} error=${error} />`}
    <div class="editor-foot">
      <button type="button" onClick=${onBack}>Back to my text</button>
      <button type="button" onClick=${onTheirs}>Leave theirs</button>
      <button type="button" onClick=${() => setText(mine)}>Take mine</button>
      <button type="button" class="primary" disabled=${isBusy || !isDecided} onClick=${() => onSave(text)}>
        ${isGone ? 'Store again' : 'Save'}
      </button>
    </div>
  </div>`;
}

/** Lines that were not there before are marked. */
function marked(side, before) {
  const known = new Set(before.split('\n'));
  return side.split('\n').map((line) => (known.has(line) ? `${line}\n` : html`<mark>${line}</mark>${'\n'}`));
}
