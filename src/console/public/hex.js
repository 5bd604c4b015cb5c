// Bytes, sixteen a row.
import { Rows } from './rows.js';
import { html } from './ui.js';

const ROW_BYTES = 16;
const ROW_PX = 20;

export function HexView({ bytes }) {
  if (bytes.length === 0) return html`<p class="quiet">The value is empty.</p>`;
  const count = Math.ceil(bytes.length / ROW_BYTES);
  return html`<div class="hex">
    <${Rows}
      role="group"
      aria-label="Bytes"
      tabindex="0"
      count=${count}
      height=${ROW_PX}
      render=${(i) => html`<${Line} key=${i} bytes=${bytes} i=${i} />`}
    />
  </div>`;
}

function Line({ bytes, i }) {
  const part = [...bytes.subarray(i * ROW_BYTES, (i + 1) * ROW_BYTES)];
  const hex = part.map((byte) => byte.toString(16).padStart(2, '0'));
  const text = part.map((byte) => (byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : '·')).join('');
  return html`<div class="hex-line">
    <span class="hex-place">${(i * ROW_BYTES).toString(16).padStart(6, '0')}</span>
    <span class="hex-bytes">${hex.slice(0, 8).join(' ')}${'  '}${hex.slice(8).join(' ')}</span>
    <span class="hex-text">${text}</span>
  </div>`;
}
