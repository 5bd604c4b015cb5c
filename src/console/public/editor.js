// Changes a text. Nothing that happens elsewhere touches it: it is told, and decided when it is saved.
import { guardLeaving } from './address.js';
import { db, onlyIf, readEntry } from './api.js';
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
  const [base, setBase] = useState(undefined);
  useEffect(() => {
    // The text that is edited is the one with this tag, and all of it.
    void readBase(entry).then(setBase, (error) => (say(error.message, true), onDone()));
  }, []);
  return base ? html`<${BaseEditor} entry=${entry} base=${base} onDone=${onDone} />` : null;
}

async function readBase(entry) {
  const found = entry.isWhole ? entry : await readEntry(entry.key);
  const text = found && textOf(found.bytes);
  if (text === undefined) throw new Error('The entry is no text any more.');
  const { etag, type } = found.about;
  return { etag, text: inField(text), type, lineEnd: lineEndOf(text) };
}

/** Returns a text as a text field gives it back. */
function inField(text) {
  return text.replaceAll(/\r\n?/g, '\n');
}

function BaseEditor({ entry, base: first, onDone }) {
  const [base, setBase] = useState(first);
  const [text, setText] = useState(base.text);
  const [type, setType] = useState(base.type);
  const [error, setError] = useState(undefined);
  const [theirs, setTheirs] = useState(undefined);
  const [isBusy, setBusy] = useState(false);
  const saveJoined = useRef(undefined);
  const isChanged = text !== base.text || type !== base.type;
  const fault = isJson(type) ? faultOf(text) : undefined;

  const done = () => {
    guardLeaving(() => '');
    say('Saved');
    onDone();
  };
  const save = async (saved = text, of = base) => {
    setBusy(true);
    setError(undefined);
    // Whoever has not changed the type takes that of the others.
    const savedType = type === base.type ? (of.type ?? type) : type;
    try {
      const body = base.lineEnd === '\r\n' ? saved.replaceAll('\n', '\r\n') : saved;
      const ttl = of.etag === undefined ? undefined : 'keep';
      await db.put(entry.key, body, { ...onlyIf(of.etag), type: savedType, ttl });
      done();
    } catch (failure) {
      const found = await readTheirs(entry.key).catch(() => undefined);
      // The answer was lost, or somebody has stored just that.
      if (found?.text === saved && found.type === savedType) done();
      else if (failure.status === 412 && found) meet(saved, savedType, of, found);
      else setError(failure);
    }
    setBusy(false);
  };
  /** Somebody was faster, perhaps once more: then what was joined with the last version is mine, and that is the base. */
  const meet = (mine, myType, of, found) => {
    setText(mine);
    setType(myType);
    setBase({ ...base, etag: of.etag, text: of.text ?? '', type: of.type ?? base.type });
    setTheirs(found);
  };
  const leave = () => {
    if (isChanged && !confirm('Leave without saving what you have changed?')) return;
    guardLeaving(() => '');
    onDone();
  };
  // Before anything else can be pressed: a later effect would save the text of the keystroke before.
  useLayoutEffect(() => {
    editing.value = { save: () => (theirs ? saveJoined.current() : save()), leave };
    guardLeaving(() => (isChanged ? 'Leave without saving what you have changed?' : ''));
  });
  useEffect(
    () => () => {
      editing.value = undefined;
      guardLeaving(() => '');
    },
    [],
  );
  const lookAtTheirs = () => readTheirs(entry.key).then(setTheirs, setError);

  if (theirs)
    return html`<${Conflict}
      key=${theirs.etag}
      base=${base.text}
      mine=${text}
      theirs=${theirs}
      isJson=${isJson(type)}
      isBusy=${isBusy}
      error=${error}
      saving=${saveJoined}
      onBack=${() => setTheirs(undefined)}
      onTheirs=${onDone}
      onSave=${(merged) => save(merged, theirs)}
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

/** Returns what is there now: its description with its text, if it has one; nothing of these if it is gone. */
async function readTheirs(key) {
  const { about = {}, bytes } = (await readEntry(key)) ?? {};
  const text = bytes && textOf(bytes);
  return { ...about, text: text === undefined ? undefined : inField(text) };
}
