import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { HANG_MS } from '../../support/eventually.js';
import type { Random } from '../../support/random.js';
import { parseAnswers, type RawAnswer } from '../../support/raw-http.js';
import { ABSENT, APART, type Answer, type Exchange, type Request } from './register.js';

const CLIENTS = 8;
/** Most requests that one connection has under way. */
const PIPELINE = 4;
const RECONNECT_MS = 10;

/** A connection that sends requests without waiting for the answers to earlier ones. */
class Pipeline {
  private readonly waiting: { resolve: (answer: RawAnswer) => void; reject: (error: Error) => void }[] = [];
  private received: Buffer = Buffer.alloc(0);

  private constructor(private readonly socket: net.Socket) {
    socket.setNoDelay().setTimeout(HANG_MS, () => socket.destroy());
    socket.on('data', (bytes) => this.take(bytes)).on('error', () => undefined);
    socket.on('close', () => {
      for (const { reject } of this.waiting.splice(0)) reject(new Error('the connection was cut'));
    });
  }

  static open(port: number): Promise<Pipeline> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(new Pipeline(socket)));
      socket.once('error', reject);
    });
  }

  get isOpen(): boolean {
    return !this.socket.destroyed;
  }

  send(bytes: string): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.socket.write(bytes);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private take(bytes: Buffer): void {
    const { answers, rest } = parseAnswers(Buffer.concat([this.received, bytes]));
    this.received = Buffer.from(rest, 'latin1');
    for (const answer of answers) this.waiting.shift()!.resolve(answer);
  }
}

/** The values of tags, as far as answers have shown them. */
class Tags {
  /** Tags that were shown with two values. */
  readonly conflicts: string[] = [];
  private readonly values = new Map<string, string>();

  learn(tag: string, value: string): void {
    const known = this.values.get(tag);
    if (known !== undefined && known !== value) this.conflicts.push(`${tag} is of ${known} and of ${value}`);
    this.values.set(tag, value);
  }

  valueOf(tag: string): string | undefined {
    return this.values.get(tag);
  }
}

interface Recorded extends Exchange {
  /** The tag in a refusal, whose value may be known only later. */
  readonly named?: string;
}

/** Clients that send random requests and record the answers. */
export class Clients {
  readonly tags = new Tags();
  private readonly recorded: Recorded[] = [];
  /** The last value of each key that an answer has shown, with its tag. */
  private readonly seen = new Map<string, { tag: string; value: string }>();
  /** How many requests have been sent. */
  sent = 0;
  private made = 0;

  constructor(
    private readonly random: Random,
    private readonly keys: readonly string[],
    private readonly length: number,
  ) {}

  /** Runs until all requests have been sent and answered, over the crashes of the server. */
  async run(port: () => number): Promise<void> {
    await Promise.all(Array.from({ length: CLIENTS }, () => this.client(port)));
  }

  get exchanges(): Exchange[] {
    return this.recorded.map(({ named, ...exchange }) => {
      const value = named === undefined ? undefined : this.tags.valueOf(named);
      return value === undefined ? exchange : { ...exchange, answer: { kind: 'refused', value } };
    });
  }

  private async client(port: () => number): Promise<void> {
    while (this.sent < this.length) {
      const pipeline = await Pipeline.open(port()).catch(() => pause(RECONNECT_MS));
      if (!pipeline) continue;
      const underWay = new Set<Promise<void>>();
      while (pipeline.isOpen && this.sent < this.length) {
        const exchange: Promise<void> = this.ask(pipeline).finally(() => underWay.delete(exchange));
        underWay.add(exchange);
        // Some requests wait for all earlier answers, some are sent together, some while others are answered.
        if (this.random.chance(0.3)) await Promise.all(underWay);
        else if (this.random.chance(0.5)) await pause(this.random.below(3));
        while (underWay.size >= PIPELINE) await Promise.race(underWay);
      }
      await Promise.all(underWay);
      pipeline.close();
    }
  }

  private async ask(pipeline: Pipeline): Promise<void> {
    this.sent++;
    const key = this.random.pick(this.keys);
    const { request, tag } = this.randomRequest(key);
    const start = performance.now();
    const answer = await pipeline.send(bytesOf(key, request, tag)).catch(() => undefined);
    const end = performance.now();
    if (answer?.status === 503) return; // Nothing was applied.
    const isUnknown = !answer || answer.status === 504;
    if (isUnknown && request.kind === 'get') return;
    if (isUnknown) this.recorded.push({ key, request, start, end: Infinity, answer: undefined });
    else this.recorded.push({ key, request, start, end, ...this.parse(key, request, answer) });
  }

  private randomRequest(key: string): { request: Request; tag?: string } {
    const value = String(APART * ++this.made);
    const seen = this.random.chance(0.8) ? this.seen.get(key) : undefined;
    const condition = seen && { ifMatch: seen.value };
    const tag = seen?.tag;
    const kind = this.random.below(24);
    if (kind < 9) return { request: { kind: 'get' } };
    if (kind < 13) return { request: { kind: 'put', value } };
    if (kind < 14) return { request: { kind: 'put', value, ifAbsent: true } };
    if (kind < 17) return { request: { kind: 'put', value, ...condition }, tag };
    if (kind < 20) return { request: { kind: 'incr' } };
    if (kind < 22) return { request: { kind: 'incr', ...condition }, tag };
    if (kind < 23) return { request: { kind: 'delete' } };
    return { request: { kind: 'delete', ...condition }, tag };
  }

  private parse(
    key: string,
    request: Request,
    { status, headers, body }: RawAnswer,
  ): { answer: Answer; named?: string } {
    const tag = headers['etag'];
    if (request.kind === 'get' && status === 404) return { answer: { kind: 'found', value: ABSENT } };
    if (request.kind === 'get' && status === 200) {
      this.see(key, tag!, body);
      return { answer: { kind: 'found', value: body } };
    }
    if (request.kind === 'put' && (status === 200 || status === 201)) {
      this.see(key, tag!, request.value);
      return { answer: { kind: 'done', created: status === 201 } };
    }
    if (request.kind === 'incr' && (status === 200 || status === 201)) {
      this.see(key, tag!, body);
      return { answer: { kind: 'counted', value: body } };
    }
    if (request.kind === 'delete' && status === 204) return { answer: { kind: 'done' } };
    if (status === 412) {
      const { etag } = JSON.parse(body) as { etag?: string };
      // An absent key has no tag.
      return etag === undefined
        ? { answer: { kind: 'refused', value: ABSENT } }
        : { answer: { kind: 'refused' }, named: `"${etag}"` };
    }
    throw new Error(`${request.kind} was answered ${status} ${body}`);
  }

  private see(key: string, tag: string, value: string): void {
    this.tags.learn(tag, value);
    if (Number(value) >= APART) this.seen.set(key, { tag, value });
  }
}

const LINES = { get: 'GET /kv/*', put: 'PUT /kv/*', incr: 'PATCH /kv/*?incr=1', delete: 'DELETE /kv/*' };

function bytesOf(key: string, request: Request, tag: string | undefined): string {
  const body = request.kind === 'put' ? request.value : undefined;
  return [
    `${LINES[request.kind].replace('*', key)} HTTP/1.1`,
    'Host: localhost',
    ...(tag === undefined ? [] : [`If-Match: ${tag}`]),
    ...(request.kind === 'put' && request.ifAbsent ? ['If-None-Match: *'] : []),
    ...(body === undefined ? [] : ['Content-Type: text/plain', `Content-Length: ${body.length}`]),
    '',
    body ?? '',
  ].join('\r\n');
}
