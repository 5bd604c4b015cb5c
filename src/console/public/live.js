// What changes, as it changes.
//
// Problem: a browser has six connections to a server over HTTP/1.1, and each tab that watches takes one for good. Design:
// of all tabs with the same token one holds a lock and the stream, and tells the others on a channel. When it is closed the
// lock passes on, and the next one goes on after the last change that was told. By `fetch`, because an EventSource carries no
// token. Where a page has no locks (plain http from another machine) each tab has a stream of its own.
import { SERVER, request, withQuery } from './api.js';
import { signal } from './ui.js';

/** A heartbeat comes every 15 s. Without one for so long the connection is dead. */
const SILENCE_MS = 40_000;
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

/** Calls `listener` with the changes, in handfuls, and with undefined when some were missed. Returns how to stop that. */
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

/** The stream of this tab if it leads, and what it hears from the one that does. */
class Stream {
  #isLeader = false;
  /** The id of the last change that was told. */
  #last = 'now';

  constructor(channel, end) {
    this.channel = channel;
    this.end = end;
  }

  /** Takes what the leader says. */
  hear({ kind, id, change, state, why }) {
    if (kind === 'hello') return this.#isLeader && this.#say(connection.value, trouble.value);
    if (this.#isLeader) return undefined;
    if (id !== undefined) this.#last = id;
    if (kind === 'state') this.#show(state, why);
    if (kind === 'change') tell(change);
    if (kind === 'missed') this.#miss();
    return undefined;
  }

  /** Follows, and comes back whenever the connection ends, until somebody stops it. */
  async lead() {
    this.#isLeader = true;
    let pause = FIRST_PAUSE_MS;
    while (!this.end.aborted) {
      try {
        await this.#read(() => (pause = FIRST_PAUSE_MS));
        this.#say('lost', 'The server ended the connection.');
      } catch (error) {
        if (this.end.aborted) return;
        this.#say('lost', error.message);
      }
      await sleep(pause, this.end);
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  async #read(onReady) {
    const silence = new Silence();
    const signal = AbortSignal.any([this.end, silence.signal]);
    const response = await request(withQuery('kv', { watch: true, since: this.#last }), { signal });
    for await (const event of eventsOf(response.body, () => silence.restart())) {
      if (event.kind === 'ready') {
        onReady();
        this.#say('live');
      }
      if (event.kind === 'reset') return this.#startAnew();
      this.#pass(event);
    }
    return undefined;
  }

  /** What was missed is not in the log any more, and everything there is would follow. The views ask for what they show. */
  #startAnew() {
    this.#last = 'now';
    this.channel.postMessage({ kind: 'missed', id: 'now' });
    this.#miss();
  }

  #pass({ kind, id, data }) {
    if (id !== undefined) this.#last = id;
    const isChange = kind === 'put' || kind === 'delete' || kind === 'expire';
    const change = isChange ? { kind, at: Date.now(), ...JSON.parse(data) } : undefined;
    this.channel.postMessage({ kind: isChange ? 'change' : kind, id, change });
    if (isChange) tell(change);
  }

  #say(state, why = '') {
    this.#show(state, why);
    this.channel.postMessage({ kind: 'state', id: this.#last, state, why });
  }

  #show(state, why = '') {
    connection.value = state;
    trouble.value = why;
  }

  #miss() {
    for (const listener of listeners) listener(undefined);
  }
}

/** Ends a connection on which nothing comes any more. */
class Silence {
  #end = new AbortController();
  #timer = this.#start();

  get signal() {
    return this.#end.signal;
  }

  restart() {
    clearTimeout(this.#timer);
    this.#timer = this.#start();
  }

  #start() {
    return setTimeout(() => this.#end.abort(new Error('Nothing came for 40 seconds.')), SILENCE_MS);
  }
}

/** Yields the Server-Sent Events of a body. */
async function* eventsOf(body, onBytes) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onBytes();
    const events = (text + value).split('\n\n');
    text = events.pop();
    for (const event of events) yield fieldsOf(event);
  }
}

function fieldsOf(event) {
  const fields = Object.fromEntries(event.split('\n').map((line) => line.split(/: (.*)/s, 2)));
  return { kind: fields.event, id: fields.id, data: fields.data };
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', resolve, { once: true });
  });
}
