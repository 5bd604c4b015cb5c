// What is done to many entries at once.
import { db } from './api.js';
import { marked, presentPrefix } from './browsing.js';
import { closeDialog, Field, Form, openDialog } from './dialogs.js';
import { fileNameOf, saveAs } from './download.js';
import { counted, formatCount } from './format.js';
import { Key, say } from './parts.js';
import { html, useEffect, useState } from './ui.js';

const LINES = 'application/x-ndjson';
/** A batch reads so many entries; large values of more would not fit into one answer. */
const EXPORT_AT_ONCE = 50;
const DELETE_AT_ONCE = 1000;

/** Saves all that begins with the prefix that is looked at. */
export async function exportPrefix() {
  const prefix = presentPrefix();
  try {
    say('Exporting…');
    const parts = [];
    // A blob can lie on the disk; so many arrays could not.
    const gather = (bytes) => void parts.push(new Blob([bytes]));
    const { count } = await db.exportTo(new WritableStream({ write: gather }), { prefix });
    saveAs(new Blob(parts, { type: LINES }), `${fileNameOf(prefix, 'pigeonhole')}.ndjson`);
    say(`${counted(count, 'entry')} exported`);
  } catch (error) {
    say(error.message, true);
  }
}

/** Saves the marked entries as lines that an import takes. */
export async function exportMarked() {
  const keys = [...marked.value.keys()];
  const lines = [];
  try {
    for (let i = 0; i < keys.length; i += EXPORT_AT_ONCE) {
      const part = keys.slice(i, i + EXPORT_AT_ONCE);
      const ops = part.map((key) => ({ op: /** @type {const} */ ('get'), key }));
      const results = await db.batch(ops, { atomic: false });
      results.forEach((result, n) => result.status === 200 && lines.push(lineOf(part[n], result)));
    }
    saveAs(new Blob(lines, { type: LINES }), 'pigeonhole-marked.ndjson');
    say(`${counted(lines.length, 'entry')} exported`);
  } catch (error) {
    say(error.message, true);
  }
}

/** @param {import('pigeonhole/client').BatchResult} found */
function lineOf(key, found) {
  const { type, expires, value, base64 } = found;
  return `${JSON.stringify({ key, type, expires, value, base64 })}\n`;
}

export function deleteMarked() {
  openDialog(DeleteMarked, { entries: [...marked.value] });
}

function DeleteMarked({ entries }) {
  const remove = async () => {
    let refused = 0;
    for (let i = 0; i < entries.length; i += DELETE_AT_ONCE) {
      const ops = entries
        .slice(i, i + DELETE_AT_ONCE)
        .map(([key, ifMatch]) => ({ op: /** @type {const} */ ('delete'), key, ifMatch }));
      refused += (await db.batch(ops, { atomic: false })).filter(({ status }) => status !== 204).length;
    }
    closeDialog();
    marked.value = new Map();
    if (refused > 0) say(`${formatCount(refused)} were changed meanwhile and are still there.`, true);
    else say(`${counted(entries.length, 'entry')} deleted`);
  };
  return html`<${Form} title=${`Delete ${counted(entries.length, 'entry')}?`} act="Delete" isDanger onSubmit=${remove}>
    <ul class="few">${entries.slice(0, 8).map(([key]) => html`<li><${Key} text=${key} /></li>`)}
      ${entries.length > 8 && html`<li>and ${formatCount(entries.length - 8)} more</li>`}</ul>
  </${Form}>`;
}

export function deletePrefix() {
  openDialog(DeletePrefix, { prefix: presentPrefix() });
}

/** Everything has no prefix to be typed. */
const EVERYTHING = 'everything';

function DeletePrefix({ prefix }) {
  const [count, setCount] = useState(undefined);
  const [typed, setTyped] = useState('');
  const range = { prefix, all: prefix === '' };
  useEffect(() => {
    const ask = (found) => {
      if (found > 0) return setCount(found);
      closeDialog();
      return say('There is nothing to delete');
    };
    db.delRange({ ...range, dryRun: true }).then(ask, (error) => say(error.message, true));
  }, []);
  const remove = async () => {
    const deleted = await db.delRange(range);
    closeDialog();
    say(`${counted(deleted, 'entry')} deleted`);
  };
  const word = prefix === '' ? EVERYTHING : prefix;
  const what =
    prefix === ''
      ? 'There is no prefix: this is the whole database.'
      : html`All keys that begin with <${Key} text=${prefix} />`;
  return html`<${Form} title=${count === undefined ? 'Counting…' : `Delete ${counted(count, 'entry')}?`} act="Delete" isDanger
    canSubmit=${typed === word && count !== undefined} onSubmit=${remove}>
    <p>${what}</p>
    <${Field} label=${html`Type <code>${word}</code> to go on`}>
      <input name="typed" dir="auto" spellcheck="false" autofocus value=${typed} onInput=${(event) => setTyped(event.target.value)} />
    </${Field}>
  </${Form}>`;
}
