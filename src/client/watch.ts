import { PigeonholeError } from './error.js';
import { pause, type Send } from './transport.js';
import type { WatchEvent, WatchOptions, WatchTargets } from './types.js';

/** The server sends a heartbeat every 15 s: after this a connection is taken for dead. */
const SILENCE_MS = 40_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Follows keys over connections that end: after each it goes on at the id of the last event.
 *
 * A snapshot that breaks off cannot be continued: it begins anew after a `reset`, so ids count only from `ready` on.
 * The first connection has to succeed; later ones are tried until `signal` is aborted or the server refuses.
 */
export async function* watch(
  send: Send,
  targets: WatchTargets,
  { since, signal, heartbeats, onLost }: WatchOptions,
): AsyncGenerator<WatchEvent, void, void> {
  // An empty one is none, as it is for browsers.
  let id = since || undefined;
  let hasBegun = false;
  for (let failures = 0; ; failures++) {
    const end = new AbortController();
    const either = signal ? AbortSignal.any([signal, end.signal]) : end.signal;
    let isLive = id !== undefined;
    try {
      const query = { ...targets, watch: true, since: id };
      const response = await send('kv', { query, signal: either });
      if (hasBegun && !isLive) yield { kind: 'reset' };
      hasBegun = true;
      for await (const event of eventsOf(response, () => end.abort())) {
        failures = 0;
        if (event.kind === 'ready') isLive = true;
        if (event.kind === 'reset') isLive = false;
        id = isLive ? (event.id ?? id) : undefined;
        if (event.kind !== 'heartbeat' || heartbeats) yield isLive ? event : { ...event, id: undefined };
      }
      onLost?.();
    } catch (error) {
      signal?.throwIfAborted();
      if (!hasBegun || isFinal(error)) throw error;
      onLost?.(error);
    } finally {
      end.abort();
    }
    await pause(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures * (1 + Math.random())), signal);
  }
}

/** Whether trying again would be in vain: the server refuses the request itself. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof PigeonholeError && error.status >= 400 && error.status < 500 && error.status !== 429
  );
}

/** Reads Server-Sent Events as the server writes them: one line of data each. */
async function* eventsOf(response: Response, onSilence: () => void): AsyncGenerator<WatchEvent> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const timer = setTimeout(onSilence, SILENCE_MS);
    const { value, done } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    const blocks = (rest + decoder.decode(value, { stream: true })).split('\n\n');
    rest = blocks.pop()!;
    for (const block of blocks) {
      const { event, data, id } = fieldsOf(block);
      if (event) yield { kind: event, ...(id && { id }), ...(JSON.parse(data!) as object) } as WatchEvent;
    }
  }
}

function fieldsOf(block: string): Record<string, string> {
  return Object.fromEntries(
    block.split('\n').map((line) => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
  );
}
