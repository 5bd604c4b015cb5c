// Who is asking: the token, and what the server says it may do.
import { askJson, SERVER, useToken } from './api.js';
import { signal } from './ui.js';

/** A tab forgets the token when it is closed. */
const STORED_AS = `pigeonhole token ${new URL(SERVER).pathname}`;

/** `asking`, `in`, `out`, or `unreachable`. */
export const state = signal('asking');
/**
 * What the server tells about the token; `id` is null where nobody needs one.
 * @type {import('@preact/signals').Signal<{ id: string | null, can: string[], namespace: string, note?: string }>}
 */
export const me = signal({ id: null, can: [], namespace: '' });
/** Why the token is asked for. */
export const refusal = signal('');

/** Whether the token has a right. */
export function may(right) {
  return me.value.can.includes(right);
}

/** Asks what the token that is kept may do, or what everybody may. */
export async function start() {
  state.value = 'asking';
  useToken(sessionStorage.getItem(STORED_AS) ?? undefined, refused);
  try {
    me.value = await askJson('tokens/self');
    state.value = 'in';
    refusal.value = '';
  } catch (error) {
    if (error.status !== 401) {
      refusal.value = error.message;
      state.value = error.code === 'no-connection' ? 'unreachable' : 'out';
    }
  }
}

export async function signIn(token) {
  sessionStorage.setItem(STORED_AS, token);
  await start();
}

/** Forgets the token. */
export function signOut(why = '') {
  sessionStorage.removeItem(STORED_AS);
  useToken(undefined, refused);
  refusal.value = why;
  state.value = 'out';
}

function refused({ code, detail = '' }) {
  signOut(code === 'unauthenticated' ? '' : detail);
}
