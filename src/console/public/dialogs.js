// One dialog at a time, over everything.
import { html, signal, useEffect, useRef, useState } from './ui.js';
import { Failure } from './parts.js';

/** What is open: a component and its properties. */
const open = signal(undefined);

/** Opens a dialog. */
export function openDialog(Content, props = {}) {
  open.value = { Content, props };
}

export function closeDialog() {
  open.value = undefined;
}

export function isDialogOpen() {
  return open.value !== undefined;
}

/** Where dialogs show. */
export function DialogPlace() {
  const box = useRef(null);
  const present = open.value;
  useEffect(() => {
    if (present && !box.current.open) box.current.showModal();
  }, [present]);
  if (!present) return null;
  const { Content, props } = present;
  return html`<dialog ref=${box} class="dialog" aria-labelledby="dialog-title" onClose=${closeDialog}>
    <${Content} ...${props} />
  </dialog>`;
}

/**
 * A form in a dialog.
 * @param onSubmit does what the form is for; what it throws is shown
 * @param act what the button says
 */
export function Form({
  title,
  act,
  onSubmit,
  children,
  isDanger = false,
  canSubmit = true,
  cancel = 'Cancel',
}) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(undefined);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await onSubmit(new FormData(event.target));
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  return html`<form onSubmit=${submit} autocomplete="off">
    <h2 id="dialog-title">${title}</h2>
    ${children} ${error && html`<${Failure} error=${error} />`}
    <div class="dialog-actions">
      <button type="button" onClick=${closeDialog}>${cancel}</button>
      ${
        act &&
        html`<button class="primary ${isDanger ? 'danger' : ''}" disabled=${isBusy || !canSubmit}>
          ${isBusy ? 'Working…' : act}
        </button>`
      }
    </div>
  </form>`;
}

/** A label with its field. */
export function Field({ label, hint, children }) {
  return html`<label class="field"
    ><span>${label}</span>${children}${hint && html`<small>${hint}</small>`}</label
  >`;
}
