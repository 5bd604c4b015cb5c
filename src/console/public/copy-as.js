// Requests as one writes them elsewhere. A token is never copied: its place is marked.
import { SERVER } from './api.js';
import { copy } from './parts.js';
import { me } from './session.js';

/** Returns what a menu offers for an entry. */
export function copyItems({ key, text }) {
  const url = `${SERVER}kv?key=${encodeURIComponent(key)}`;
  const items = [
    ['as curl', curl(url)],
    ['as fetch', fetchCall(url)],
    ['as Python', python(url)],
    ['as pigeonhole', `pigeonhole get ${quoted(key)}`],
    ['the key', key],
    text !== undefined && ['the value', text],
  ];
  return items.filter(Boolean).map(([name, what]) => [name, () => copy(what, name.replace(/^as /, ''))]);
}

function curl(url) {
  const header = me.value.id === null ? '' : ` -H "Authorization: Bearer $TOKEN"`;
  return `curl${header} ${quoted(url)}`;
}

function fetchCall(url) {
  const options = me.value.id === null ? '' : ', { headers: { Authorization: `Bearer ${token}` } }';
  return `const response = await fetch(${JSON.stringify(url)}${options});\nconst value = await response.text();`;
}

function python(url) {
  const lines = ['from urllib.request import Request, urlopen', ''];
  const headers = me.value.id === null ? '' : ', headers={"Authorization": f"Bearer {token}"}';
  return [...lines, `value = urlopen(Request(${JSON.stringify(url)}${headers})).read()`].join('\n');
}

/** Returns a text as one word of a shell. */
function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
