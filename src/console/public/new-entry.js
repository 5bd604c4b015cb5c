// New entries, typed in or from files. What exists is never replaced here.
import { go, linkWith } from './address.js';
import { db } from './api.js';
import { presentPrefix } from './browsing.js';
import { TtlField } from './change-entry.js';
import { closeDialog, Field, Form, openDialog } from './dialogs.js';
import { counted, isJson } from './format.js';
import { faultOf } from './json-lexer.js';
import { say } from './parts.js';
import { html, useState } from './ui.js';

const TYPES = [
  'text/plain; charset=utf-8',
  'application/json',
  'text/html; charset=utf-8',
  'text/csv; charset=utf-8',
];

export function newEntry(key) {
  openDialog(NewDialog, { start: typeof key === 'string' ? key : presentPrefix() });
}

function NewDialog({ start }) {
  const [key, setKey] = useState(start);
  const [type, setType] = useState(TYPES[0]);
  const [text, setText] = useState('');
  const [ttl, setTtl] = useState('');
  const fault = isJson(type) && text !== '' ? faultOf(text) : undefined;
  const store = async () => {
    await db.put(key, text, { create: true, type, ttl: ttl.trim() || undefined }).catch((error) => {
      throw error.status === 412
        ? new Error('There is an entry with this key already. Nothing was stored.')
        : error;
    });
    closeDialog();
    go(linkWith({ key }));
  };
  return html`<${Form} title="New entry" act="Store" onSubmit=${store} canSubmit=${key !== ''}>
    <${Field} label="Key"><input name="key" dir="auto" spellcheck="false" autofocus required value=${key}
      onInput=${(event) => setKey(event.target.value)} /></${Field}>
    <${TypeField} type=${type} onType=${setType} />
    <${Field} label="Value" hint=${fault ? `Line ${fault.line}, column ${fault.column}: ${fault.message}` : ''}>
      <textarea name="value" rows="8" dir="auto" spellcheck="false" value=${text}
        onInput=${(event) => setText(event.target.value)}></textarea></${Field}>
    <${TtlField} ttl=${ttl} onTtl=${setTtl} />
  </${Form}>`;
}

/** Asks for the type of a value: any, with the usual ones at hand. */
export function TypeField({ type, onType }) {
  return html`<${Field} label="Type">
      <input name="type" list="types" spellcheck="false" required value=${type} onInput=${(event) => onType(event.target.value)} />
    </${Field}>
    <datalist id="types">${TYPES.map((each) => html`<option value=${each}></option>`)}</datalist>`;
}

/** Stores files under their names, after the prefix that is looked at. */
export async function uploadFiles(files) {
  const refused = [];
  let stored = 0;
  for (const file of files) {
    try {
      const type = file.type || 'application/octet-stream';
      await db.put(presentPrefix() + file.name, file, { create: true, type });
      stored++;
    } catch (error) {
      refused.push(`${file.name}: ${error.status === 412 ? 'such a key exists already' : error.message}`);
    }
  }
  if (refused.length > 0) say(`${counted(stored, 'file')} stored. ${refused.join('; ')}`, true);
  else say(`${counted(stored, 'file')} stored`);
  if (files.length === 1 && stored === 1) go(linkWith({ key: presentPrefix() + files[0].name }));
}
