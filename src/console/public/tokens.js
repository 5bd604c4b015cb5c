// Who may do what. A secret is seen once, when it is made.
import { askJson, db, postJson } from './api.js';
import { closeDialog, Field, Form, openDialog } from './dialogs.js';
import { formatAgo, formatTime } from './format.js';
import { Blank, copy, Failure, Menu, say, Spinner } from './parts.js';
import { me } from './session.js';
import { html, signal, useEffect, useState } from './ui.js';

const tokens = signal(undefined);
const failure = signal(undefined);
const RIGHTS = ['read', 'write', 'monitor', 'admin'];

async function load() {
  try {
    const all = [];
    let after;
    do {
      const { items, next } = await askJson('tokens', { query: { limit: 1000, after } });
      all.push(...items);
      after = next ?? undefined;
    } while (after !== undefined);
    tokens.value = all.sort((a, b) => (a.created < b.created ? 1 : -1));
    failure.value = undefined;
  } catch (error) {
    failure.value = error;
  }
}

export function Tokens() {
  useEffect(() => void load(), []);
  return html`<section class="page" tabindex="0" aria-label="Tokens">
    <div class="bar">
      <h1>Tokens</h1>
      <span class="push"></span>
      <button type="button" class="primary" onClick=${() => openDialog(NewToken)}>New token</button>
    </div>
    <${Content} />
  </section>`;
}

function Content() {
  if (failure.value) return html`<${Failure} error=${failure.value} onRetry=${load} />`;
  if (!tokens.value) return html`<${Spinner} />`;
  return tokens.value.length === 0 ? html`<${NoTokens} />` : html`<${Table} />`;
}

function NoTokens() {
  const text =
    me.value.id === null
      ? 'Everybody on this machine may do everything. The first token changes that: from then on every request for data needs one.'
      : 'You have made none yet.';
  return html`<${Blank} title="No tokens"><p>${text}</p></${Blank}>`;
}

function Table() {
  return html`<div class="table-box" tabindex="0" role="region" aria-label="All tokens">
    <table class="cards">
      <thead>
        <tr>
          <th scope="col">What for</th>
          <th scope="col">Namespace</th>
          <th scope="col">Rights</th>
          <th scope="col">Last used</th>
          <th scope="col">Expires</th>
          <th scope="col">Id</th>
          <th scope="col"><span class="hidden">Actions</span></th>
        </tr>
      </thead>
      <tbody>
        ${tokens.value.map((token) => html`<${Line} key=${token.id} token=${token} />`)}
      </tbody>
    </table>
  </div>`;
}

function Line({ token }) {
  const { id, note, namespace, can, lastUsed, expires, created } = token;
  const items = [
    ['Rotate…', () => openDialog(Rotate, { token })],
    ['Revoke…', () => openDialog(Revoke, { token }), 'danger'],
  ];
  return html`<tr>
    <td title=${`Made ${formatTime(created)}`}><bdi>${note || '–'}</bdi></td>
    <td class="mono" data-name="Namespace"><bdi>${namespace || 'everything'}</bdi></td>
    <td data-name="Rights">${can.join(', ')}</td>
    <td class="whole" data-name="Last used">${lastUsed ? formatAgo(lastUsed) : 'never'}</td>
    <td class="whole" data-name="Expires">${expires ? formatTime(expires) : 'never'}</td>
    <td class="mono whole" data-name="Id">${id}</td>
    <td class="number"><${Menu} label=${`Actions for ${note || id}`} icon="more" items=${items} /></td>
  </tr>`;
}

function NewToken() {
  const [secret, setSecret] = useState(undefined);
  const make = async (form) => {
    const body = {
      note: form.get('note'),
      namespace: form.get('namespace'),
      can: form.getAll('can'),
      requireConditions: form.has('requireConditions'),
      ...(form.get('ttl').trim() === '' ? {} : { ttl: form.get('ttl').trim() }),
    };
    const made = await postJson('tokens', body);
    setSecret(made.token);
    if (me.value.id !== null) await load();
  };
  if (secret) return html`<${Secret} secret=${secret} isFirst=${me.value.id === null} />`;
  return html`<${Form} title="New token" act="Make it" onSubmit=${make}>
    <${Field} label="What for"><input name="note" maxlength="200" autofocus placeholder="app1 in production" /></${Field}>
    <${Field} label="Namespace" hint="Its keys begin with this, and it sees nothing else. Ends with a slash; empty: everything.">
      <input name="namespace" placeholder="app1/" spellcheck="false" /></${Field}>
    <fieldset><legend>Rights</legend><div class="checks">${RIGHTS.filter((right) =>
      me.value.can.includes(right),
    ).map(
      (right) =>
        html`<label
          ><input
            type="checkbox"
            name="can"
            value=${right}
            checked=${me.value.id === null || right === 'read' || right === 'write'}
          />${right}</label
        >`,
    )}</div></fieldset>
    <${Field} label="Ends after" hint="Such as 90s, 2h, 30d. Empty: never."><input name="ttl" placeholder="never" spellcheck="false" /></${Field}>
    <label class="check"><input type="checkbox" name="requireConditions" />writes only with If-Match or If-None-Match</label>
  </${Form}>`;
}

/** The only time that a secret is seen. */
function Secret({ secret, isFirst }) {
  const done = () => {
    closeDialog();
    // From the first token on the console needs one as well.
    if (isFirst) location.reload();
  };
  return html`<div>
    <h2 id="dialog-title">The token</h2>
    <p>It is shown this once: the server does not keep it.</p>
    <output class="secret mono" tabindex="0">${secret}</output>
    <div class="dialog-actions">
      <button type="button" onClick=${() => copy(secret, 'Token')}>Copy</button>
      <button type="button" class="primary" onClick=${done}>I have it</button>
    </div>
  </div>`;
}

function Rotate({ token }) {
  const [secret, setSecret] = useState(undefined);
  const rotate = async (form) => {
    const grace = form.get('grace').trim();
    const made = await postJson(`tokens/${token.id}/rotate`, grace === '' ? {} : { grace });
    setSecret(made.token);
    await load();
  };
  if (secret) return html`<${Secret} secret=${secret} />`;
  return html`<${Form} title="Rotate the token" act="Rotate" onSubmit=${rotate}>
    <p>It gets a new secret and keeps its rights.</p>
    <${Field} label="The old secret works for" hint="Such as 10m or 1h. Empty: it ends at once."><input name="grace" placeholder="not at all" autofocus /></${Field}>
  </${Form}>`;
}

function Revoke({ token }) {
  const revoke = async () => {
    await db.request(`tokens/${token.id}`, { method: 'DELETE' });
    closeDialog();
    say('Revoked');
    if (token.id !== me.value.id) await load();
  };
  return html`<${Form} title="Revoke the token?" act="Revoke" isDanger onSubmit=${revoke}>
    <p><bdi>${token.note || token.id}</bdi> and every token that was made with it end now, wherever they are in use.</p>
  </${Form}>`;
}
