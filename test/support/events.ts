import http, { type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { HANG_MS } from './eventually.js';

/** One Server-Sent Event as it was read. */
export interface SentEvent {
  readonly id?: string;
  readonly event: string;
  readonly data: string;
}

/** What the data line of a put, delete or expire says. */
export interface Told {
  readonly key: string;
  readonly etag: string;
  readonly type?: string;
  readonly size?: number;
  readonly expires?: string | null;
  readonly value?: string;
  readonly base64?: string;
}

/** A client that follows a URL and keeps every event; heartbeats apart, as they come by time. */
export class EventStream {
  readonly events: SentEvent[] = [];
  readonly heartbeats: SentEvent[] = [];
  /** The id with which a client would come again. */
  lastId: string | undefined;
  /** Everything as it came. */
  text = '';
  /** Resolves when the connection has ended, however it did. */
  readonly ended: Promise<void>;
  private rest = '';
  private isOver = false;
  private readonly listeners = new Set<() => void>();

  private constructor(
    readonly response: IncomingMessage,
    private readonly onEvent?: (event: SentEvent) => void,
  ) {
    response.setEncoding('utf8').on('data', (text: string) => this.take(text));
    this.ended = new Promise((resolve) => {
      response.on('error', () => undefined);
      response.on('close', () => {
        this.isOver = true;
        this.tell();
        resolve();
      });
    });
  }

  /** Asks for events of `path`. Rejects when the answer is not 200. */
  static open(
    port: number,
    path: string,
    headers: OutgoingHttpHeaders = {},
    onEvent?: (event: SentEvent) => void,
  ): Promise<EventStream> {
    return new Promise((resolve, reject) => {
      const question = { host: '127.0.0.1', port, path, agent: false as const };
      http
        .get({ ...question, headers: { Accept: 'text/event-stream', ...headers } }, (response) => {
          if (response.statusCode === 200) return resolve(new EventStream(response, onEvent));
          response.resume();
          reject(new Error(`the watch was answered ${response.statusCode}`));
        })
        .on('error', reject);
    });
  }

  /** Opens, and waits until the stream is live. */
  static async live(port: number, path: string, headers?: OutgoingHttpHeaders): Promise<EventStream> {
    const stream = await EventStream.open(port, path, headers);
    await stream.until(({ event }) => event === 'ready');
    return stream;
  }

  /** The first event that `is`; waits for it. Fails if the stream ends before. */
  until(is: (event: SentEvent) => boolean): Promise<SentEvent> {
    let seen = 0;
    const look = () => {
      while (seen < this.events.length) {
        const event = this.events[seen++]!;
        if (is(event)) return event;
      }
      return undefined;
    };
    return this.wait(look);
  }

  /** Waits for the first heartbeat. */
  heartbeat(): Promise<SentEvent> {
    return this.wait(() => this.heartbeats[0]);
  }

  /** Waits for the event about `key` that carries `etag`, if one is given. */
  told(key: string, etag?: string): Promise<SentEvent> {
    return this.until((event) => {
      const told = toldOf(event);
      return told.key === key && (etag === undefined || told.etag === etag);
    });
  }

  get names(): string[] {
    return this.events.map(({ event }) => event);
  }

  close(): void {
    this.response.destroy();
  }

  private take(text: string): void {
    this.text += text;
    this.rest += text;
    const blocks = this.rest.split('\n\n');
    this.rest = blocks.pop()!;
    for (const block of blocks) {
      const event = parse(block);
      if (!event) continue;
      if (event.id !== undefined) this.lastId = event.id;
      (event.event === 'heartbeat' ? this.heartbeats : this.events).push(event);
      this.onEvent?.(event);
    }
    this.tell();
  }

  private wait<T>(look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const listener = () => {
        const found = look();
        if (found === undefined && !this.isOver) return;
        clearTimeout(timer);
        this.listeners.delete(listener);
        if (found === undefined) reject(new Error(`the stream ended after ${this.summary()}`));
        else resolve(found);
      };
      const timer = setTimeout(() => {
        this.listeners.delete(listener);
        reject(new Error(`it did not come; there is ${this.summary()}`));
      }, HANG_MS);
      this.listeners.add(listener);
      listener();
    });
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }

  private summary(): string {
    return JSON.stringify(this.events.slice(-5)).slice(0, 500);
  }
}

/** One block of lines as the HTML standard reads it; undefined if it has no data. */
export function parse(block: string): SentEvent | undefined {
  const fields: Record<string, string> = {};
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, '');
    fields[name] = name === 'data' && 'data' in fields ? `${fields['data']}\n${value}` : value;
  }
  const { data, event = 'message', id } = fields;
  if (data === undefined) return undefined;
  return id === undefined ? { event, data } : { id, event, data };
}

export function toldOf({ data }: SentEvent): Told {
  return JSON.parse(data) as Told;
}

/** What a client that applies every event holds: key → etag. */
export function stateAfter(events: readonly SentEvent[]): Map<string, string> {
  const state = new Map<string, string>();
  for (const event of events) {
    const { key, etag } = toldOf(event);
    if (event.event === 'reset') state.clear();
    else if (event.event === 'put') state.set(key, etag);
    else if (event.event === 'delete' || event.event === 'expire') state.delete(key);
  }
  return state;
}

/** Complaints about the order of what was told: per key, tags only rise, and none comes twice. Reset starts anew. */
export function disorderOf(events: readonly SentEvent[]): string[] {
  const last = new Map<string, string>();
  const found: string[] = [];
  for (const event of events) {
    if (event.event === 'reset') last.clear();
    const { key, etag } = toldOf(event);
    if (key === undefined) continue;
    const before = last.get(key);
    if (before !== undefined && etag <= before) found.push(`${event.event} ${key}: ${etag} after ${before}`);
    last.set(key, etag);
  }
  return found;
}
