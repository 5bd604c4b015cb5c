// Small things that occur everywhere.
import { html, signal, useEffect, useState } from './ui.js';
import { visible } from './keys.js';

const PATHS = {
  folder: 'M1.5 4.5v8h13v-7h-7l-1.5-2h-4.5z',
  text: 'M3 4.5h10M3 8h10M3 11.5h6',
  json: 'M6 2.5c-2.5 0-1 4.5-3 5.5 2 1 .5 5.5 3 5.5M10 2.5c2.5 0 1 4.5 3 5.5-2 1-.5 5.5-3 5.5',
  image: 'M2 3h12v10H2zM2 11l4-4 3 3 2-2 3 3M11 5.8v.1',
  bytes: 'M3 3h3v4H3zM10 9h3v4h-3zM10 3l2-.5V7M3.5 9.500l2-.5V13',
  plus: 'M8 3v10M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  more: 'M3.500 8h.01M8 8h.01M12.500 8h.01',
  back: 'M10 3L5 8l5 5',
  copy: 'M5.500 5.500v-3h8v8h-3M2.500 5.500h8v8h-8z',
  clock: 'M8 2a6 6 0 100 12A6 6 0 008 2zM8 5v3.500l2.500 1.500',
  check: 'M3 8.500l3.500 3.500L13 4.500',
  history: 'M2.500 8a5.500 5.500 0 101.700-4M2.500 2.500v2.500H5M8 5v3.500l2.500 1.500',
  search: 'M7 2.500a4.500 4.500 0 100 9 4.500 4.500 0 000-9zM10.300 10.300l3.700 3.700',
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}

/** The sign of the house: four pigeonholes, one of them taken. */
export function Mark() {
  return html`<svg class="mark" viewBox="0 0 16 16" aria-hidden="true">
    <path d="M1 1h6v6H1zM9 1h6v6H9zM1 9h6v6H1z" />
    <path class="taken" d="M9 9h6v6H9z" />
  </svg>`;
}

/** A key, or a part of one: in the direction of its own writing, and whole whatever characters it has. */
export function Key({ text, ...rest }) {
  return html`<bdi class="key" title=${text} ...${rest}>${visible(text)}</bdi>`;
}

/** What went wrong, and the way out if there is one. */
export function Failure({ error, onRetry }) {
  return html`<div class="failure" role="alert">
    <strong>${titleOf(error)}</strong>
    <p>${error.message}</p>
    ${onRetry && html`<button type="button" onClick=${onRetry}>Try again</button>`}
  </div>`;
}

function titleOf({ code, problem }) {
  return problem?.title ?? (code === 'no-connection' ? 'No answer' : 'That did not work');
}

/** A state in which there is nothing to see. */
export function Blank({ title, children }) {
  return html`<div class="blank">
    <h2>${title}</h2>
    ${children}
  </div>`;
}

export function Spinner({ text = 'Loading' }) {
  return html`<div class="spinner" role="status"><i aria-hidden="true"></i>${text}…</div>`;
}

/** What has just been done, for a few seconds. */
const notice = signal({ text: '', isBad: false });
let noticeEnd;

export function say(text, isBad = false) {
  notice.value = { text, isBad };
  clearTimeout(noticeEnd);
  noticeEnd = setTimeout(() => (notice.value = { text: '', isBad: false }), isBad ? 9000 : 3500);
}

export function Notice() {
  const { text, isBad } = notice.value;
  return html`<div class="notice ${isBad ? 'bad' : ''}" role="status" hidden=${text === ''}>${text}</div>`;
}

/** Puts a text on the clipboard; where a page may not (plain http from another machine), it is selected by hand. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied`);
  } catch {
    say('The browser does not let this page copy. Select the text and copy it by hand.', true);
  }
}

/** Shows what `load` brings: a part of the console that is loaded when it is first seen. */
export function Later({ load, ...properties }) {
  const [Content, setContent] = useState(undefined);
  useEffect(() => {
    void load().then(
      (loaded) => setContent(() => loaded),
      () => setContent(() => Unreached),
    );
  }, []);
  return Content ? html`<${Content} ...${properties} />` : html`<${Spinner} />`;
}

/** The server may be away just when something is first opened. */
function Unreached() {
  const error = { code: 'no-connection', message: 'The server cannot be reached. Is it running?' };
  return html`<h1 class="hidden">Pigeonhole</h1>
    <${Failure} error=${error} onRetry=${() => location.reload()} />`;
}

/** Draws again every second for as long as it is shown. */
export function useSeconds() {
  const [, setNow] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setNow((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
}

/** A button that opens a list of others. */
export function Menu({ label, icon, items, text }) {
  const close = (event) => event.currentTarget.closest('details').removeAttribute('open');
  const leave = ({ currentTarget, relatedTarget }) => {
    if (!currentTarget.contains(relatedTarget)) currentTarget.removeAttribute('open');
  };
  const onKeyDown = (event) => {
    if (event.key !== 'Escape' || !event.currentTarget.open) return;
    event.stopPropagation();
    event.currentTarget.removeAttribute('open');
    event.currentTarget.firstElementChild.focus();
  };
  return html`<details class="menu" onFocusOut=${leave} onKeyDown=${onKeyDown}>
    <summary class="button" aria-label=${text ? undefined : label} title=${label}>
      ${icon && html`<${Icon} name=${icon} />`}${text}
    </summary>
    <div class="menu-items">
      ${items
        .filter(Boolean)
        .map(
          ([name, act, kind = '']) =>
            html`<button type="button" class=${kind} onClick=${(event) => (close(event), act())}>
              ${name}
            </button>`,
        )}
    </div>
  </details>`;
}
