// Asks for the token.
import { Mark } from './parts.js';
import { refusal, signIn, start, state } from './session.js';
import { html, useState } from './ui.js';

export function SignIn() {
  const isAway = state.value === 'unreachable';
  return html`<main class="sign-in">
    <${Mark} />
    <h1>Pigeonhole</h1>
    ${
      isAway
        ? html`<p role="alert">${refusal.value}</p>
            <button type="button" class="primary" onClick=${start}>Try again</button>`
        : html`<${TokenForm} />`
    }
  </main>`;
}

function TokenForm() {
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const token = event.target.elements.token.value.trim();
    // What is no token cannot go into a header.
    if (!/^[\x21-\x7e]+$/.test(token))
      return (refusal.value = 'That is no token: it has characters that no token has.');
    setBusy(true);
    await signIn(token);
    setBusy(false);
    return undefined;
  };
  return html`<form onSubmit=${submit}>
    <label class="field"
      ><span>Token</span>
      <input
        name="token"
        type="password"
        autocomplete="off"
        required
        autofocus
        placeholder="pgh_…"
        spellcheck="false"
      />
      <small>It stays in this tab until the tab is closed.</small></label
    >
    ${refusal.value !== '' && html`<p class="failure" role="alert">${refusal.value}</p>`}
    <button class="primary" disabled=${isBusy}>${isBusy ? 'Asking…' : 'Sign in'}</button>
  </form>`;
}
