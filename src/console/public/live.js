// What changes, as it changes.
//
// Problem: a browser has six connections to a server over HTTP/1.1, and each tab that watches takes one for good. Design:
// of all tabs with the same token one holds a lock and the stream, and tells the others on a channel. When it is closed the
// lock passes on, and the next one goes on after the last change that was told. Where a page has no locks (plain http from
// another machine) each tab has a stream of its own.
import { db, SERVER } from './api.js';
import { signal } from './ui.js';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** Changes are told in handfuls, so that many of them are drawn once. */
const GATHER_MS = 60;

/** `off`, `connecting`, `live`, `lost`. */
export const connection = signal('off');
/** Why it is lost. */
export const trouble = signal('');

const listeners = new Set();
let stopPresent = () => {};
let gathered = [];

/**
 * Calls `listener` with the changes, in handfuls. When some were missed it is called with undefined, and with the position
 * from which on none is missed. Returns how to stop that.
 */
export function onChanges(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Starts following for the token with this id. */
export function follow(id) {
  stopPresent();
  const name = `pigeonhole ${SERVER} ${id ?? ''}`;
  const end = new AbortController();
  const channel = new BroadcastChannel(name);
  const stream = new Stream(channel, end.signal);
  channel.onmessage = ({ data }) => stream.hear(data);
  stopPresent = () => {
    end.abort();
    channel.close();
    connection.value = 'off';
  };
  connection.value = 'connecting';
  channel.postMessage({ kind: 'hello' });
  const lead = () => stream.lead();
  const leading = navigator.locks ? navigator.locks.request(name, { signal: end.signal }, lead) : lead();
  leading.catch((error) => {
    if (error.name !== 'AbortError') throw error;
  });
}

export function stopFollowing() {
  stopPresent();
}

function tell(change) {
  if (gathered.length === 0) setTimeout(handOn, GATHER_MS);
  gathered.push(change);
}

function handOn() {
  const changes = gathered;
  gathered = [];
  for (const listener of listeners) listener(changes);
}

function tellMissed(position) {
  for (const listener of listeners) listener(undefined, position);
}

/** The stream of this tab if it leads, and what it hears from the one that does. */
class Stream {
  #isLeader = false;
  /** The id of the last change that was told; undefined before there is one, and when the server cannot go on from there. */
  #last = undefined;

  constructor(channel, end) {
    this.channel = channel;
    this.end = end;
  }

  /** Takes what the leader says. */
  hear({ kind, id, change, state, why }) {
    if (kind === 'hello') return this.#isLeader && this.#say(connection.value, trouble.value);
    if (this.#isLeader) return undefined;
    this.#last = id ?? this.#last;
    if (kind === 'state') this.#show(state, why);
    if (kind === 'change') tell(change);
    if (kind === 'missed') tellMissed(id);
    return undefined;
  }

  /** Follows, and comes back whenever the server refuses, until somebody stops it. */
  async lead() {
    this.#isLeader = true;
    let pause = FIRST_PAUSE_MS;
    while (!this.end.aborted) {
      try {
        await this.#follow(() => (pause = FIRST_PAUSE_MS));
      } catch (error) {
        if (this.end.aborted) return;
        this.#say('lost', error.message);
        await sleep(pause, this.end);
        pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
      }
    }
  }

  /** Follows until the server cannot go on from where it was: then everything there is would come. */
  async #follow(onReady) {
    const onLost = (error) => this.#say('lost', error?.message ?? 'The server ended the connection.');
    const options = { since: this.#last ?? 'now', heartbeats: true, signal: this.end, onLost };
    for await (const event of db.watch({ prefix: '' }, options)) {
      if (event.kind === 'reset') {
        this.#last = undefined;
        return;
      }
      if (event.kind === 'ready') onReady();
      this.#pass(event);
    }
  }

  /** @param {import('pigeonhole/client').WatchEvent} event */
  #pass({ id, ...event }) {
    const isAnew = this.#last === undefined;
    this.#last = id ?? this.#last;
    if (event.kind === 'ready') {
      this.#say('live');
      // What was loaded before may be older than where the stream begins.
      if (isAnew) this.#miss(id);
    } else if (event.kind === 'heartbeat') {
      this.channel.postMessage({ kind: 'heartbeat', id });
    } else {
      const change = { at: Date.now(), ...event };
      this.channel.postMessage({ kind: 'change', id, change });
      tell(change);
    }
  }

  #miss(id) {
    this.channel.postMessage({ kind: 'missed', id });
    tellMissed(id);
  }

  #say(state, why = '') {
    this.#show(state, why);
    this.channel.postMessage({ kind: 'state', id: this.#last, state, why });
  }

  #show(state, why = '') {
    connection.value = state;
    trouble.value = why;
  }
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', resolve, { once: true });
  });
}
