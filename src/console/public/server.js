// How the server is.
import { Blank } from './parts.js';
import { html } from './ui.js';
export function Server() {
  return html`<${Blank} title="Server" />`;
}
