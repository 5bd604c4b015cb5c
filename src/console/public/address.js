// What is shown stands in the part of the address after `#`, which browsers send to nobody: Back, reload and a link that is
// sent on work, and no log gets to know a key.
import { signal } from './ui.js';

/** What follows the view: `prefix`, `delimiter`, `find`, `key`, `history`. */
const VIEWS = ['keys', 'live', 'tokens', 'server'];

/** The view, and its parameters. */
export const address = signal(read());
/** Returns a question if leaving would lose something. */
let guard = () => '';

/** Asks before the address changes for as long as `question` returns a text. */
export function guardLeaving(question) {
  guard = question;
}

/** Returns the link to a view. Parameters that are undefined are left out. */
export function linkTo(view, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(given).toString();
  return `#/${view}${query === '' ? '' : `?${query}`}`;
}

/** Returns the link to what is shown, with other parameters. */
export function linkWith(params) {
  const { view, params: present } = address.value;
  // What is looked at of the past is that of one key.
  const kept = 'key' in params ? { ...present, history: undefined } : present;
  return linkTo(view, { ...kept, ...params });
}

/** Leads to a link. @param isStep whether Back leads to what was shown before */
export function go(link, isStep = true) {
  if (isStep) location.hash = link;
  else {
    history.replaceState(null, '', link);
    address.value = read();
  }
}

function read() {
  const [path, query = ''] = location.hash.slice(2).split(/\?(.*)/s);
  return {
    view: VIEWS.includes(path) ? path : 'keys',
    params: Object.fromEntries(new URLSearchParams(query)),
  };
}

addEventListener('hashchange', ({ oldURL }) => {
  const question = guard();
  if (question !== '' && !confirm(question)) return history.replaceState(null, '', oldURL);
  address.value = read();
});
addEventListener('beforeunload', (event) => {
  if (guard() !== '') event.preventDefault();
});
