// Changes a text. Nothing that happens elsewhere touches it: it is told, and decided when it is saved.
import { guardLeaving } from './address.js';
import { putValue, readValue, describe } from './api.js';
import { isJson, textOf } from './format.js';
import { faultOf, formatJson } from './json-lexer.js';
import { TypeField } from './new-entry.js';
import { Failure, say } from './parts.js';
import { html, signal, useEffect, useLayoutEffect, useRef, useState } from './ui.js';
import { Conflict } from './conflict.js';

/** Larger texts are replaced by files. */
const MOST_EDITED = 1024 * 1024;
/** What is to happen when somebody presses Ctrl+S, or Escape. */
export const editing = signal(undefined);

/** Whether the value can be typed into: a text that a text field gives back as it is. */
export function mayEdit(entry) {
  return entry.about.size <= MOST_EDITED && entry.text !== undefined;
}

/** The line ends of a text. A text field makes `\n` of all of them. */
function lineEndOf(text) {
  const crlf = text.split('\r\n').length - 1;
  const others = text.replaceAll('\r\n', '');
  if (crlf === 0 && !others.includes('\r')) return '\n';
  return others.includes('\n') || others.includes('\r') ? 'mixed' : '\r\n';
}

export function Editor({ entry, onDone }) {
  const [base, setBase] = useState();
  useEffect(() => {
    // The text that is edited is the one with this tag, and all of it.
    void readBase(entry).then(setBase);
  }, []);
  return base ? html`<${BaseEditor} entry=${entry} base=${base} onDone=${onDone} />` : null;
}

async function readBase(entry) {
  const { bytes, etag } = entry.isWhole
    ? { bytes: entry.bytes, etag: entry.about.etag }
    : await readValue(entry.key);
  const text = textOf(bytes);
  return { etag, text: text.replaceAll(/\r\n?/g, '\n'), type: entry.about.type, lineEnd: lineEndOf(text) };
}

function BaseEditor({ entry, base, onDone }) {
  const [text, setText] = useState(base.text);
  const [type, setType] = useState(base.type);
  const [error, setError] = useState();
  const [theirs, setTheirs] = useState();
  const [isBusy, setBusy] = useState(false);
  const isChanged = text !== base.text || type !== base.type;
  const fault = isJson(type) ? faultOf(text) : undefined;

  const save = async (saved = text, etag = base.etag) => {
    setBusy(true);
    setError(undefined);
    try {
      const body = base.lineEnd === '\r\n' ? saved.replaceAll('\n', '\r\n') : saved;
      await putValue(entry.key, body, { type, etag, ttl: etag === undefined ? undefined : 'keep' });
      guardLeaving(() => '');
      say('Saved');
      onDone();
    } catch (failure) {
      if (failure.status === 412) setTheirs(await readTheirs(entry.key));
      else setError(failure);
    }
    setBusy(false);
  };
  const leave = () => {
    if (isChanged && !confirm('Leave without saving what you have changed?')) return;
    guardLeaving(() => '');
    onDone();
  };
  // Before anything else can be pressed: a later effect would save the text of the keystroke before.
  useLayoutEffect(() => {
    editing.value = { save: () => save(), leave };
    guardLeaving(() => (isChanged ? 'Leave without saving what you have changed?' : ''));
  });
  useEffect(
    () => () => {
      editing.value = undefined;
      guardLeaving(() => '');
    },
    [],
  );
  const lookAtTheirs = async () => setTheirs(await readTheirs(entry.key));

  if (theirs)
    return html`<${Conflict}
      base=${base.text}
      mine=${text}
      theirs=${theirs}
      isJson=${isJson(type)}
      isBusy=${isBusy}
      error=${error}
      onBack=${() => setTheirs(undefined)}
      onTheirs=${onDone}
      onSave=${(merged) => save(merged, theirs.etag)}
    />`;
  return html`<div class="editor">
    ${entry.newer.value && html`<${NewerBar} change=${entry.newer.value} onLook=${lookAtTheirs} />`}
    <${TypeField} type=${type} onType=${setType} />
    <${Area} text=${text} onText=${setText} />
    ${base.lineEnd === 'mixed' && html`<p class="warning">The line ends of this text are mixed. Saving makes all of them \\n.</p>`}
    ${error && html`<${Failure} error=${error} />`}
    <div class="editor-foot">
      <span class="fault" role="status"
        >${fault && `Line ${fault.line}, column ${fault.column}: ${fault.message}`}</span
      >
      ${isJson(type) && !fault && html`<button type="button" onClick=${() => setText(formatJson(text).text)}>Format</button>`}
      <button type="button" onClick=${leave}>Cancel</button>
      <button
        type="button"
        class="primary"
        title="Save (Ctrl+S)"
        disabled=${isBusy || !isChanged}
        onClick=${() => save()}
      >
        ${isBusy ? 'Saving…' : 'Save'}
      </button>
    </div>
  </div>`;
}

function Area({ text, onText }) {
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  return html`<textarea
    class="editor-text"
    aria-label="Value"
    ref=${field}
    spellcheck="false"
    dir="auto"
    value=${text}
    onInput=${(event) => onText(event.target.value)}
  ></textarea>`;
}

const HAPPENED = { put: 'changed', delete: 'deleted', expire: 'ended', missed: 'perhaps changed' };

function NewerBar({ change, onLook }) {
  return html`<div class="newer" role="status">
    <span>The entry was ${HAPPENED[change.kind]} elsewhere while you edit. Your text is as you left it.</span>
    <button type="button" onClick=${onLook}>Compare</button>
  </div>`;
}

/** Returns what is there now; without a tag and text if nothing is. */
async function readTheirs(key) {
  const about = await describe(key);
  if (about === undefined) return { etag: undefined, text: undefined };
  const { bytes, etag } = await readValue(key);
  return { etag, text: textOf(bytes)?.replaceAll(/\r\n?/g, '\n') ?? '', isText: textOf(bytes) !== undefined };
}
