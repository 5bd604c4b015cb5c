import { createHash } from 'node:crypto';
import http, { type IncomingMessage } from 'node:http';
import { HANG_MS } from '../eventually.js';
import { filled, type Call, type Step } from './step.js';

const TAG = /[0-9a-f]{8}-[0-9a-f]{13}(?:-[0-9a-f]+)?/g;
/** The tag of a page is a digest. */
const PAGE_TAG = /"([\w-]{22})(\\?")/g;
/** Times of the test's run; others are what a request has said. */
const TIME = /20[2-4]\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
const DATE = /[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20[2-4]\d \d\d:\d\d:\d\d GMT/g;
const POSITION_LINE = /^id: (.+)$/gm;
/** Heartbeats come by time. */
const HEARTBEAT = /(?:^id: .*\n)?^event: heartbeat\ndata: \{\}\n\n/gm;
/** How long a request has been held before it is set free. */
const HELD_MS = 10;

/** Where a server is, and how it knows who asks. */
export interface Address {
  readonly port: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Through how many connections requests go in turn. */
  readonly connections?: number;
  /** Whether only the changes of each key have an order, so that events of several keys come as it happens. */
  readonly isUnordered?: boolean;
}

/**
 * One of two servers that must not differ. Its answers are texts in which only what may differ is replaced: tags by the
 * order in which they were first seen, positions in the change log and times by their names.
 */
export class Twin {
  /** Everything that has come, for what must not be in it. */
  private readonly forbidden: RegExp | undefined;
  private tags: string[] = [];
  private positions: string[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly agents: http.Agent[];
  private turn = 0;

  constructor(
    private readonly address: Address,
    forbidden?: RegExp,
  ) {
    this.forbidden = forbidden;
    const { connections = 1 } = address;
    this.agents = Array.from(
      { length: connections },
      () => new http.Agent({ keepAlive: true, maxSockets: 1 }),
    );
  }

  /** Takes a step. Returns all that came back, to be compared. */
  async take(step: Step): Promise<string> {
    switch (step.kind) {
      case 'call':
        return this.shown(await this.send(step.call));
      case 'poll':
        return this.poll(step.call, step.write);
      case 'watch':
        return this.watch(step.call, step.writes, step.last);
    }
  }

  close(): void {
    for (const agent of this.agents) agent.destroy();
  }

  private async poll(call: Call, write: Call): Promise<string> {
    const held = this.open(call, false);
    await new Promise((resolve) => setTimeout(resolve, HELD_MS));
    const written = this.shown(await this.send(write));
    const response = await held;
    return `${written}\n${this.shown(await answerOf(response))}`;
  }

  private async watch(call: Call, writes: readonly Call[], last: string): Promise<string> {
    const response = await this.open(call, false);
    if (!String(response.headers['content-type']).startsWith('text/event-stream'))
      return this.shown(await answerOf(response));
    const stream = new Stream(response);
    await stream.until('event: ready\n');
    const answers: string[] = [];
    for (const write of writes) answers.push(this.shown(await this.send(write)));
    if (writes.length > 0) await stream.until(last);
    response.destroy();
    const text = stream.text.replaceAll(HEARTBEAT, '');
    for (const [, id] of text.matchAll(POSITION_LINE)) this.positions.push(id!);
    const events = text.replaceAll(POSITION_LINE, 'id: <position>');
    const body = Buffer.from(this.address.isUnordered ? byKey(events) : events);
    return [...answers, this.shown({ response, body })].join('\n');
  }

  private async send(call: Call): Promise<Whole> {
    return answerOf(await this.open(call, true));
  }

  private open(call: Call, reused: boolean): Promise<IncomingMessage> {
    const fill = (text: string) => filled(text, this.tags, this.positions);
    const headers = Object.entries({ ...this.address.headers, ...call.headers });
    const options = {
      host: '127.0.0.1',
      port: this.address.port,
      path: fill(call.target),
      method: call.method,
      headers: Object.fromEntries(headers.map(([name, value]) => [name, fill(value)])),
      agent: reused ? this.agents[this.turn++ % this.agents.length]! : (false as const),
      timeout: HANG_MS,
    };
    return new Promise((resolve, reject) => {
      const request = http.request(options, resolve);
      request.on('timeout', () => request.destroy(new Error('no answer')));
      request.on('error', reject);
      request.end(call.body === undefined ? undefined : Buffer.from(fill(call.body), 'latin1'));
    });
  }

  private shown({ response, body }: Whole): string {
    const { statusCode, statusMessage, rawHeaders } = response;
    const lines = [`${statusCode} ${statusMessage}`];
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const [name, value] = [rawHeaders[i]!, rawHeaders[i + 1]!];
      if (name === 'Date') continue;
      if (name === 'KV-Revision') this.positions.push(value);
      lines.push(`${name}: ${name === 'KV-Revision' ? '<position>' : value}`);
    }
    const text = `${lines.join('\n')}\n\n${checkedDigest(body).toString('latin1')}`;
    const leak = this.forbidden?.exec(text);
    if (leak) throw new Error(`what is of others is in an answer: ${text.slice(0, 2000)}`);
    return this.normal(text);
  }

  private normal(text: string): string {
    const number = (tag: string) => {
      if (!this.numbers.has(tag)) {
        this.numbers.set(tag, this.tags.length);
        this.tags.push(tag);
      }
      return this.numbers.get(tag)!;
    };
    return text
      .replaceAll(TIME, '<time>')
      .replaceAll(DATE, '<date>')
      .replaceAll(TAG, (tag) => `<tag ${number(tag)}>`)
      .replaceAll(PAGE_TAG, (_, tag: string, end: string) => `"<tag ${number(tag)}>${end}`);
  }
}

interface Whole {
  readonly response: IncomingMessage;
  readonly body: Buffer;
}

/** Puts events in the order of their keys, and those of each key in the order in which they came. */
function byKey(events: string): string {
  const keyOf = (event: string) => /"key":"(?:[^"\\\\]|\\\\.)*"/.exec(event)?.[0] ?? '';
  const all = events.split('\n\n').map((event) => ({ event, key: keyOf(event) }));
  return all
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ event }) => event)
    .join('\n\n');
}

/** Checks the digest in the closing line of an export, which is of tags and times too, and replaces it. */
function checkedDigest(body: Buffer): Buffer {
  const start = body.lastIndexOf('\n', body.length - 2) + 1;
  const digest = /^\{"end":true,"count":\d+,"sha256":"([0-9a-f]{64})"/.exec(
    body.toString('latin1', start),
  )?.[1];
  if (digest === undefined) return body;
  const right = createHash('sha256').update(body.subarray(0, start)).digest('hex') === digest;
  const line = body.toString('latin1', start).replace(digest, right ? '<right>' : '<wrong>');
  return Buffer.concat([body.subarray(0, start), Buffer.from(line, 'latin1')]);
}

async function answerOf(response: IncomingMessage): Promise<Whole> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { response, body: Buffer.concat(chunks) };
}

/** What has come of a stream so far. */
class Stream {
  text = '';
  private isOver = false;
  private wake = () => {};

  constructor(response: IncomingMessage) {
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      this.text += text;
      this.wake();
    });
    response.on('error', () => undefined);
    response.on('close', () => {
      this.isOver = true;
      this.wake();
    });
  }

  /** Waits for an event in which there is `part`. */
  async until(part: string): Promise<void> {
    const deadline = Date.now() + HANG_MS;
    for (;;) {
      const at = this.text.indexOf(part);
      if (at >= 0 && this.text.includes('\n\n', at + part.length - 1)) return;
      const left = deadline - Date.now();
      if (left <= 0 || this.isOver)
        throw new Error(`${JSON.stringify(part)} did not come after ${this.text.slice(-500)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
