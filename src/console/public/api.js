// The server, as the console speaks with it: the client that everybody can use, with the token of this tab.
import { Pigeonhole } from 'pigeonhole/client';

let token;
/** @type {(problem: { code?: string, detail?: string }) => void} */
let onRefused = () => {};

/** Says with which token to ask from now on, and whom to tell when it is not taken. */
export function useToken(text, refused) {
  token = text;
  onRefused = refused;
}

/** The address of the server, which may lie under a prefix. */
export const SERVER = new URL('.', location.href).href.split('#')[0];

export const db = new Pigeonhole(SERVER, { token: () => token, fetch: ask });

async function ask(url, init) {
  const used = token;
  // Without credentials a browser neither asks for a password of its own nor remembers one.
  const response = await fetch(url, { ...init, credentials: 'omit', cache: 'no-store' }).catch(() => {
    throw new TypeError('the server cannot be reached');
  });
  if (response.status === 401 && used === token)
    onRefused(
      await response
        .clone()
        .json()
        .catch(() => ({})),
    );
  return response;
}

/** Sends a request for which the client has no method, and reads the JSON of its answer. */
export async function askJson(path, call) {
  return (await db.request(path, call)).json();
}

/** Sends JSON. */
export function postJson(path, content) {
  const headers = { 'Content-Type': 'application/json' };
  return askJson(path, { method: 'POST', headers, body: JSON.stringify(content) });
}

/** The condition that an entry is still the one with this tag; without one, that there is none. */
export function onlyIf(etag) {
  return etag === undefined ? { create: true } : { ifMatch: etag };
}

/**
 * Returns the entry with its bytes, or its first `most`; undefined if there is none.
 * @param {string} key
 * @param {AbortSignal} [signal]
 */
export async function readEntry(key, most = Infinity, signal) {
  for (;;) {
    const about = await db.info(key, { signal });
    if (about === undefined) return undefined;
    try {
      const range = about.size > most ? `bytes=0-${most - 1}` : undefined;
      const entry = await db.get(key, { ifMatch: about.etag, range, signal });
      if (entry !== undefined) return { about, bytes: await entry.bytes() };
    } catch (error) {
      if (error.status !== 412) throw error;
    }
    // Somebody was faster than these two requests.
  }
}
