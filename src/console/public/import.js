// Imports a file of lines: first without writing, then for good.
import { db } from './api.js';
import { Form, Field } from './dialogs.js';
import { counted, formatCount } from './format.js';
import { html, useState } from './ui.js';

export function ImportDialog() {
  const [file, setFile] = useState(undefined);
  const [mode, setMode] = useState(/** @type {'upsert' | 'create'} */ ('upsert'));
  const [trial, setTrial] = useState(undefined);
  const [result, setResult] = useState(undefined);
  const choose = (event) => {
    setFile(event.target.files[0]);
    setTrial(undefined);
  };
  const submit = async () => {
    if (trial) setResult(await db.importFrom(file, { mode }));
    else setTrial(await db.importFrom(file, { mode, dryRun: true }));
  };
  const report = result ?? trial;
  return html`<${Form} title="Import lines" act=${result ? undefined : trial ? 'Import' : 'Try it without writing'}
    cancel=${result ? 'Close' : 'Cancel'} canSubmit=${file !== undefined} onSubmit=${submit}>
    <${Field} label="File" hint="NDJSON, as an export makes it: one entry a line.">
      <input type="file" accept=".ndjson,.jsonl,.json,.txt" onChange=${choose} disabled=${result !== undefined} /></${Field}>
    <${Field} label="Keys that exist">
      <select value=${mode} disabled=${result !== undefined} onChange=${(event) => (setMode(event.target.value), setTrial(undefined))}>
        <option value="upsert">are replaced</option><option value="create">are left as they are</option>
      </select></${Field}>
    ${report && html`<${Report} report=${report} isTrial=${result === undefined} />`}
  </${Form}>`;
}

function Report({ report, isTrial }) {
  const { created, updated, skipped, errors, errorCount, end } = report;
  const [made, replaced, left] = isTrial
    ? ['It would make', 'replace', 'leave']
    : ['Made', 'replaced', 'left'];
  const text = `${made} ${counted(created, 'entry')}, ${replaced} ${formatCount(updated)}, and ${left} ${formatCount(skipped)}.`;
  const whole = end
    ? ' The file is whole.'
    : ' Without a closing line nobody knows whether the file is whole.';
  return html`<div class="report" role="status">
    <p>${text}${whole}</p>
    ${
      errorCount > 0 &&
      html`<h3>${counted(errorCount, 'line')} with an error</h3>
        <ol class="errors" tabindex="0">
          ${errors.map(({ line, detail }) => html`<li value=${line}>${detail}</li>`)}
        </ol>`
    }
  </div>`;
}
