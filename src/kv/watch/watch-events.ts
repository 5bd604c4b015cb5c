import type { Entry } from '../../storage/entry.js';
import { LOGGED_VALUE_BYTES, type Change } from '../../storage/storage-engine.js';
import { expiresJson, typeJson, valueMember } from '../entry-json.js';

/*
 * Events as Server-Sent Events write them (https://html.spec.whatwg.org/multipage/server-sent-events.html). Every event
 * has a data line: browsers drop those without. JSON has no line ends of its own, so one line is enough.
 */

/** Sent first: after how many milliseconds a browser connects again. */
export const RETRY = 'retry: 1000\n\n';

/** Returns the event of an entry of the snapshot. It has no id: a client that loses the connection here starts anew. */
export function snapshotEvent(entry: Entry): string {
  const value = entry.size <= LOGGED_VALUE_BYTES ? entry.value : undefined;
  return `event: put\ndata: ${putJson(entry, value)}\n\n`;
}

/** Returns the event of a change. Where changes have one order it has an id, after which a client may resume. */
export function changeEvent(change: Change, withId: boolean): string {
  const { kind, key, etag, entry, value } = change;
  const data = entry ? putJson(entry, value) : `{"key":${JSON.stringify(key)},"etag":"${etag}"}`;
  const event = `event: ${kind}\ndata: ${data}\n\n`;
  return withId ? `id: ${change.position}\n${event}` : event;
}

/** Returns the event that ends the snapshot: live from here. */
export function readyEvent(position: string): string {
  return `id: ${position}\nevent: ready\ndata: {}\n\n`;
}

/** Says that what the client knows is outdated: a fresh snapshot follows. */
export const RESET = 'event: reset\ndata: {}\n\n';

/** Returns the event that keeps the id of a quiet watcher within the log, and finds dead sockets. */
export function heartbeatEvent(position: string): string {
  return `id: ${position}\nevent: heartbeat\ndata: {}\n\n`;
}

type Described = Pick<Entry, 'key' | 'etag' | 'type' | 'size' | 'expires'>;

function putJson({ key, etag, type, size, expires }: Described, value: Buffer | undefined): string {
  const about = `"key":${JSON.stringify(key)},"etag":"${etag}","type":${typeJson(type)},"size":${size},"expires":${expiresJson(expires)}`;
  return value === undefined ? `{${about}}` : `{${about},${valueMember(value)}}`;
}
