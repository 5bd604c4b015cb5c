// The console. The address says what is shown (address.js), the session who is asking (session.js), and one stream what
// changes (live.js); everything else hangs from there.
import { address, linkTo } from './address.js';
import { Browse } from './browse.js';
import { forgetList } from './browsing.js';
import { DialogPlace } from './dialogs.js';
import { connection, follow, stopFollowing, trouble } from './live.js';
import { Later, Mark, Notice, Spinner } from './parts.js';
import { me, may, signOut, start, state } from './session.js';
import { listenToKeys, openHelp } from './shortcuts.js';
import { SignIn } from './sign-in.js';
import { effect, html, render, useEffect } from './ui.js';

const VIEWS = [
  { view: 'keys', name: 'Keys', right: 'read' },
  { view: 'live', name: 'Live', right: 'read', load: async () => (await import('./feed.js')).Feed },
  { view: 'tokens', name: 'Tokens', right: 'admin', load: async () => (await import('./tokens.js')).Tokens },
  {
    view: 'server',
    name: 'Server',
    right: 'monitor',
    load: async () => (await import('./server.js')).Server,
  },
];

function App() {
  if (state.value === 'asking') return html`<${Spinner} text="Asking the server" />`;
  if (state.value !== 'in') return html`<${SignIn} />`;
  const offered = VIEWS.filter(({ right }) => may(right));
  const shown = offered.find(({ view }) => view === address.value.view) ?? offered[0];
  return html`<${Top} offered=${offered} shown=${shown} />
    <main>${shown ? html`<${View} key=${shown.view} ...${shown} />` : html`<${NothingToShow} />`}</main>`;
}

function NothingToShow() {
  return html`<div class="blank">
    <h1>Nothing to show</h1>
    <p>This token may write, and that is all.</p>
  </div>`;
}

function View({ view, name, load }) {
  useEffect(() => {
    document.title = `${name} · Pigeonhole`;
  }, []);
  return view === 'keys' ? html`<${Browse} />` : html`<${Later} load=${load} />`;
}

function Top({ offered, shown }) {
  return html`<header class="top">
    <a class="home" href=${linkTo('keys')} aria-label="Pigeonhole, all keys"
      ><${Mark} /><span>Pigeonhole</span></a
    >
    <nav aria-label="Views">
      ${offered.map(
        ({ view, name }) =>
          html`<a href=${linkTo(view)} aria-current=${view === shown?.view ? 'page' : undefined}>${name}</a>`,
      )}
    </nav>
    <${Connection} />
    ${me.value.id !== null && html`<${Who} />`}
    <button
      type="button"
      class="icon-button help"
      aria-label="Keyboard"
      title="Keyboard (?)"
      onClick=${openHelp}
    >
      ?
    </button>
  </header>`;
}

const STATES = {
  off: 'Not following',
  connecting: 'Connecting',
  live: 'Live',
  lost: 'Connection lost, trying again',
};

function Connection() {
  return html`<span class="connection ${connection.value}" role="status" title=${trouble.value}>
    <i aria-hidden="true"></i><span>${STATES[connection.value]}</span></span
  >`;
}

function Who() {
  const { note, id, can } = me.value;
  return html`<span class="who" title=${`${id}: ${can.join(', ')}`}
    ><bdi>${note || id}</bdi> <button type="button" onClick=${() => signOut()}>Sign out</button></span
  >`;
}

effect(() => {
  const canFollow = state.value === 'in' && may('read');
  if (canFollow) follow(me.value.id);
  else {
    stopFollowing();
    forgetList();
  }
});

listenToKeys();
render(html`<${App} /><${DialogPlace} /><${Notice} />`, document.body);
void start();
