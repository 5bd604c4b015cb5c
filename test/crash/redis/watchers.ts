import { setTimeout as pause } from 'node:timers/promises';
import { ask } from '../../support/http.js';
import { pathOf } from '../../support/kv.js';
import { EventStream, toldOf, type SentEvent } from '../../support/events.js';

const RETRY_MS = 50;

interface Change {
  readonly kind: string;
  readonly key: string;
  readonly etag: string;
  /** The number that the writer put; undefined of a deletion. */
  readonly number: number | undefined;
}

/** A client that watches all keys on one server, resumes after the last id when the stream ends, and drops repetitions. */
export class RedisWatcher {
  /** The changes since the start or the last reset, each once. */
  changes: Change[] = [];
  resets = 0;
  connections = 0;
  /** Changes that came again after a reconnection, which is allowed. */
  repeated = 0;
  /** Changes that came twice on one connection, which is not. */
  twice = 0;
  private sinceReset = new Set<string>();
  private inConnection = new Set<string>();
  private id: string | undefined;
  private stream: EventStream | undefined;
  private stopped = false;

  constructor(private readonly port: number) {}

  async run(): Promise<void> {
    while (!this.stopped) {
      const headers = this.id === undefined ? {} : { 'Last-Event-ID': this.id };
      this.inConnection = new Set();
      this.stream = await EventStream.open(this.port, '/kv?prefix=', headers, (event) =>
        this.take(event),
      ).catch(() => undefined);
      if (this.stream) this.connections++;
      await this.stream?.ended;
      if (!this.stopped) await pause(RETRY_MS);
    }
  }

  stop(): void {
    this.stopped = true;
    this.stream?.close();
  }

  /** The watcher's copy of the database, key → tag. */
  get state(): Map<string, string> {
    const state = new Map<string, string>();
    for (const { kind, key, etag } of this.changes) {
      if (kind === 'put') state.set(key, etag);
      else state.delete(key);
    }
    return state;
  }

  /** Key → the numbers of its puts, in the order of their arrival. */
  get numbers(): Map<string, number[]> {
    const numbers = new Map<string, number[]>();
    for (const { key, number } of this.changes) {
      if (number !== undefined) numbers.set(key, [...(numbers.get(key) ?? []), number]);
    }
    return numbers;
  }

  private take({ id, event: kind, data }: SentEvent): void {
    if (id !== undefined) this.id = id;
    if (kind === 'reset') {
      this.resets++;
      this.changes = [];
      this.sinceReset = new Set();
      this.inConnection = new Set();
    }
    if (kind !== 'put' && kind !== 'delete' && kind !== 'expire') return;
    const { key, etag, value } = toldOf({ event: kind, data });
    if (this.inConnection.has(etag)) this.twice++;
    else if (this.sinceReset.has(etag)) this.repeated++;
    else this.changes.push({ kind, key, etag, number: kind === 'put' ? Number(value) : undefined });
    this.inConnection.add(etag);
    this.sinceReset.add(etag);
  }
}

/** Writers that count up, each in a key of its own, on the servers in turn. */
export class CountingWriters {
  /** Key → the numbers that were acknowledged. */
  readonly acknowledged = new Map<string, Set<number>>();
  private stopped = false;
  private running: Promise<unknown> | undefined;

  constructor(
    private readonly ports: readonly number[],
    private readonly keys: number,
  ) {}

  start(): void {
    this.running = Promise.all(Array.from({ length: this.keys }, (_, i) => this.write(`key/${i}`)));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  get count(): number {
    return [...this.acknowledged.values()].reduce((sum, { size }) => sum + size, 0);
  }

  private async write(key: string): Promise<void> {
    const acknowledged = new Set<number>();
    this.acknowledged.set(key, acknowledged);
    for (let number = 1; !this.stopped; number++) {
      const port = this.ports[number % this.ports.length]!;
      const { status } = await ask(port, pathOf(key), { method: 'PUT', body: `${number}` });
      if (status < 300) acknowledged.add(number);
      else await pause(RETRY_MS);
      await pause(2);
    }
  }
}
