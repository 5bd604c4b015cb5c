// Puts a folder back to what it was: first without writing, then for good.
import { restore } from 'pigeonhole/past';
import { db } from './api.js';
import { Field, Form } from './dialogs.js';
import { counted, formatCount } from './format.js';
import { Key } from './parts.js';
import { html, useState } from './ui.js';

const MINUTE_MS = 60_000;
/** @type {[name: string, milliseconds: number][]} */
const CHOICES = [
  ['10 minutes ago', 10 * MINUTE_MS],
  ['1 hour ago', 60 * MINUTE_MS],
  ['1 day ago', 24 * 60 * MINUTE_MS],
];

export function RestoreDialog({ prefix }) {
  const [at, setAt] = useState('');
  const [trial, setTrial] = useState(undefined);
  const [result, setResult] = useState(undefined);
  const choose = (text) => {
    setAt(text);
    setTrial(undefined);
  };
  const submit = async () => {
    const range = { prefix, at: new Date(at), all: prefix === '' };
    if (trial) setResult(await restore(db, range));
    else setTrial(await restore(db, { ...range, dryRun: true }));
  };
  const report = result ?? trial;
  const isVain = trial !== undefined && trial.restored + trial.deleted === 0;
  return html`<${Form} title="Put back to an earlier moment" act=${result ? undefined : trial ? 'Put back' : 'Look what would change'}
    isDanger=${trial !== undefined} cancel=${result ? 'Close' : 'Cancel'} canSubmit=${at !== '' && !isVain} onSubmit=${submit}>
    <p>${prefix === '' ? 'Every key of the database' : html`All keys that begin with <${Key} text=${prefix} />`}</p>
    <${Field} label="To what was there at" hint="In the time of this computer. As far back as the server keeps changes.">
      <input type="datetime-local" name="at" step="1" value=${at} disabled=${result !== undefined}
        onInput=${(event) => choose(event.target.value)} /></${Field}>
    ${
      !result &&
      html`<div class="choices">
        ${CHOICES.map(
          ([name, span]) =>
            html`<button type="button" onClick=${() => choose(localTime(Date.now() - span))}>
              ${name}
            </button>`,
        )}
      </div>`
    }
    ${report && html`<${Report} report=${report} isTrial=${result === undefined} />`}
  </${Form}>`;
}

/** A moment as a field of a time has it. */
function localTime(milliseconds) {
  const offset = new Date(milliseconds).getTimezoneOffset() * MINUTE_MS;
  return new Date(milliseconds - offset).toISOString().slice(0, 19);
}

function Report({ report, isTrial }) {
  const { restored, deleted, unchanged, errors, errorCount } = report;
  const [back, gone, left] = isTrial
    ? ['would get back what it held', 'would be deleted', 'stay as they are']
    : ['got back what it held', 'deleted', 'were left as they are'];
  return html`<div class="report" role="status">
    <ul>
      <li>${counted(restored, 'entry')} ${back}</li>
      <li>${counted(deleted, 'entry')} that did not exist then ${gone}</li>
      <li>${formatCount(unchanged)} ${left}</li>
    </ul>
    ${
      errors.length > 0 &&
      html`<h3>${counted(errorCount, 'key')} that cannot be put back</h3>
        <ul class="errors" tabindex="0">
          ${errors.map(({ key, detail }) => html`<li><${Key} text=${key} />: ${detail}</li>`)}
        </ul>`
    }
  </div>`;
}
