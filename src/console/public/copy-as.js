// Requests as one writes them elsewhere. A token is never copied: its place is marked.
import { SERVER } from './api.js';
import { copy } from './parts.js';
import { me } from './session.js';

/** Where the command line looks for a server without being told. */
const USUAL = 'http://127.0.0.1:4000/';

/** Returns what a menu offers for an entry. */
export function copyItems({ key, text }) {
  const items = requests(`kv?key=${encodeURIComponent(key)}`, 'get', key);
  return menuOf([...items, ['the key', key], text !== undefined && ['the value', text]]);
}

/** Returns what a menu offers for all keys that begin with `prefix`. */
export function copyListItems(prefix) {
  return menuOf(requests(`kv?prefix=${encodeURIComponent(prefix)}&limit=1000`, 'ls', prefix));
}

function menuOf(items) {
  return items
    .filter(Boolean)
    .map(([name, what]) => [`Copy ${name}`, () => copy(what, name.replace(/^as /, ''))]);
}

/** @param command of the command line that asks the same of the key or prefix `name` */
function requests(path, command, name) {
  const url = SERVER + path;
  return [
    ['as curl', curl(url)],
    ['as fetch', fetchCall(url)],
    ['as Python', python(url)],
    // An argument cannot hold it.
    !name.includes('\u0000') && ['as pigeonhole', commandLine(command, name)],
  ];
}

function hasToken() {
  return me.value.id !== null;
}

function curl(url) {
  const header = hasToken() ? ` -H "Authorization: Bearer $PIGEONHOLE_TOKEN"` : '';
  return `curl${header} ${quoted(url)}`;
}

function fetchCall(url) {
  const options = hasToken() ? ', { headers: { Authorization: `Bearer ${token}` } }' : '';
  return `const response = await fetch(${JSON.stringify(url)}${options});\nconst value = await response.text();`;
}

function python(url) {
  const headers = hasToken() ? ', headers={"Authorization": f"Bearer {token}"}' : '';
  return [
    'from urllib.request import Request, urlopen',
    '',
    `value = urlopen(Request(${JSON.stringify(url)}${headers})).read()`,
  ].join('\n');
}

function commandLine(command, name) {
  const server = SERVER === USUAL ? '' : ` --url ${quoted(SERVER)}`;
  return `pigeonhole ${command}${server} -- ${quoted(name)}`;
}

/** Returns a text as one word of a shell. */
function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
