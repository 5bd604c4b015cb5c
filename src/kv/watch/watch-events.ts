import type { Entry } from '../../storage/entry.js';
import type { Change } from '../../storage/storage-engine.js';
import { expiresJson, typeJson, valueMember } from '../entry-json.js';

/*
 * Events as Server-Sent Events write them (https://html.spec.whatwg.org/multipage/server-sent-events.html). Every event
 * has a data line: browsers drop those without. JSON has no line ends of its own, so one line is enough.
 */

/** Sent first: after how many milliseconds a browser connects again. */
export const RETRY = 'retry: 1000\n\n';

/** Returns the event of an entry of the snapshot. It has no id: a client that loses the connection here starts anew. */
export function snapshotEvent(entry: Entry): string {
  return `event: put\n${putLine(entry, entry.value)}\n`;
}

/** Returns the event of a change. Where changes have one order it has an id, after which a client may resume. */
export function changeEvent(change: Change, withId: boolean): string {
  const { kind, key, etag, entry, value } = change;
  const line = entry ? putLine(entry, value) : `data: {"key":${JSON.stringify(key)},"etag":"${etag}"}\n`;
  const event = `event: ${kind}\n${line}\n`;
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

/** The longest line of an event, with its end. */
const LINE_BYTES = 64 * 1024;
/** UTF-8 never takes more bytes for a UTF-16 unit. */
const MOST_BYTES_OF_UNIT = 3;

type Described = Pick<Entry, 'key' | 'etag' | 'type' | 'size' | 'expires'>;

/**
 * Returns the data line of a put. A value that would make it longer than LINE_BYTES is left out: readers of lines have
 * bounds, and 64 KiB is a common one.
 */
function putLine({ key, etag, type, size, expires }: Described, value: Buffer | undefined): string {
  const about = `data: {"key":${JSON.stringify(key)},"etag":"${etag}","type":${typeJson(type)},"size":${size},"expires":${expiresJson(expires)}`;
  if (value !== undefined && value.length < LINE_BYTES) {
    const line = `${about},${valueMember(value)}}\n`;
    if (line.length * MOST_BYTES_OF_UNIT <= LINE_BYTES || Buffer.byteLength(line) <= LINE_BYTES) return line;
  }
  return `${about}}\n`;
}
