// What is done to one entry: always on condition that it is still the one that is shown.
import { go, linkWith } from './address.js';
import { db, readEntry } from './api.js';
import { closeDialog, Field, Form, openDialog } from './dialogs.js';
import { fileNameOf, saveAs } from './download.js';
import { textOf } from './format.js';
import { Key, say } from './parts.js';
import { html, useState } from './ui.js';

/** Runs what a click asks for, and says what went wrong. */
async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(
      error.status === 412 ? 'Somebody has changed the entry meanwhile. Look at it again.' : error.message,
      true,
    );
    return undefined;
  }
}

export function downloadEntry(entry) {
  return attempt(async () => {
    const found = await db.get(entry.key);
    if (found) saveAs(await new Response(found.body).blob(), fileNameOf(entry.key));
    else say('The entry is not there any more.', true);
  });
}

export function increaseBy(entry, by) {
  return attempt(async () => {
    await db.incr(entry.key, by, { ifMatch: entry.about.etag });
    await entry.load();
  });
}

export function replaceWithFile(entry) {
  const input = document.createElement('input');
  input.type = 'file';
  input.onchange = () =>
    attempt(async () => {
      const [file] = input.files;
      const type = file.type || 'application/octet-stream';
      await db.put(entry.key, file, { type, ifMatch: entry.about.etag, ttl: 'keep' });
      await entry.load();
      say('Replaced');
    });
  input.click();
}

export function openDelete(entry) {
  const remove = async () => {
    await db.del(entry.key, { ifMatch: entry.about.etag });
    closeDialog();
    say('Deleted');
    go(linkWith({ key: undefined }), false);
  };
  openDialog(DeleteDialog, { entry, remove });
}

function DeleteDialog({ entry, remove }) {
  return html`<${Form} title="Delete the entry?" act="Delete" isDanger onSubmit=${remove}>
    <p><${Key} text=${entry.key} /></p>
  </${Form}>`;
}

export function openExpiry(entry) {
  openDialog(ExpiryDialog, { entry });
}

const SPANS = [
  ['10 minutes', '10m'],
  ['1 hour', '1h'],
  ['1 day', '1d'],
  ['30 days', '30d'],
];

function ExpiryDialog({ entry }) {
  const [ttl, setTtl] = useState('');
  const change = async () => {
    await db.touch(entry.key, ttl.trim() || 'none', { ifMatch: entry.about.etag });
    closeDialog();
    await entry.load();
  };
  return html`<${Form} title="When does it end?" act=${ttl.trim() === '' ? 'Never' : 'Set'} onSubmit=${change}>
    <${TtlField} ttl=${ttl} onTtl=${setTtl} />
  </${Form}>`;
}

/** Asks for how long an entry is to last. */
export function TtlField({ ttl, onTtl }) {
  return html`<${Field} label="Ends after" hint="Such as 90s, 15m, 2h, 7d. Empty: never.">
      <input name="ttl" value=${ttl} onInput=${(event) => onTtl(event.target.value)} placeholder="never" spellcheck="false" />
    </${Field}>
    <div class="choices">${SPANS.map(
      ([name, span]) => html`<button type="button" onClick=${() => onTtl(span)}>${name}</button>`,
    )}</div>`;
}

export function openDuplicate(entry) {
  openDialog(NewNameDialog, { entry, title: 'Duplicate', act: 'Duplicate', work: duplicate });
}

export function openRename(entry) {
  openDialog(NewNameDialog, { entry, title: 'Rename', act: 'Rename', work: rename });
}

function NewNameDialog({ entry, title, act, work }) {
  const [key, setKey] = useState(entry.key);
  const submit = async () => {
    await work(entry, key).catch((error) => {
      throw error.status === 412 ? new Error(refusalOf(error, key)) : error;
    });
    closeDialog();
    go(linkWith({ key }));
  };
  return html`<${Form} title=${title} act=${act} onSubmit=${submit} canSubmit=${key !== '' && key !== entry.key}>
    <${Field} label="New key"><input name="key" dir="auto" spellcheck="false" autofocus value=${key}
      onInput=${(event) => setKey(event.target.value)} /></${Field}>
  </${Form}>`;
}

function refusalOf(error, key) {
  return error.problem.index === 1
    ? 'Somebody has changed the entry meanwhile. Nothing was done; look at it again.'
    : `There is an entry with the key ${key} already. Nothing was done.`;
}

async function duplicate({ key }, name) {
  const { about, bytes } = await present(key);
  await db.put(name, bytes, { create: true, type: about.type, expires: about.expires ?? undefined });
}

async function present(key) {
  const found = await readEntry(key);
  if (found === undefined) throw new Error('The entry is not there any more. Nothing was done.');
  return found;
}

/** The new key and the old one change together, or neither does. */
async function rename({ key }, name) {
  const { about, bytes } = await present(key);
  const text = textOf(bytes);
  const value = text === undefined ? { base64: bytes.toBase64?.() ?? base64Of(bytes) } : { value: text };
  const put = {
    op: /** @type {const} */ ('put'),
    key: name,
    ...value,
    type: about.type,
    expires: about.expires ?? undefined,
  };
  await db.batch([
    { ...put, ifNoneMatch: '*' },
    { op: 'delete', key, ifMatch: about.etag },
  ]);
}

function base64Of(bytes) {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}
