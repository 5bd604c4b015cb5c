import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http, { ServerResponse, type IncomingMessage, type Server } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import tls from 'node:tls';
import { OneWriteResponse } from '../../../src/http/server/one-write.js';
import { proveOneWrite } from '../../../src/http/server/one-write-proof.js';
import { certificate } from '../../support/certificates.js';
import { eventually } from '../../support/eventually.js';
import { lines } from '../../support/raw-http.js';
import { requireProgram } from '../../support/requires.js';

type Answer = (response: ServerResponse) => void;
type ClassOfAnswers = typeof ServerResponse | typeof OneWriteResponse;
type Pair = { readonly key: Buffer; readonly cert: Buffer };

/** What a server did for a request. */
interface Seen {
  /** The events of the answer, each with what the answer said of itself then. */
  readonly events: string[];
  /** The chunks that the connection was given, as the lists in which they came. */
  readonly writes: number[];
}

/** A server whose answers are Node's own, or go out in one write. */
class Way {
  readonly seen: Seen[] = [];
  private onOver: ((isLast: boolean) => void) | undefined;

  private constructor(
    private readonly server: Server,
    private readonly isSecure: boolean,
  ) {}

  /** @param answers the request of `/<n>` gets the one of this number */
  static async start(of: ClassOfAnswers, answers: readonly Answer[], pair?: Pair): Promise<Way> {
    const options = { ServerResponse: of as never };
    const server = pair ? https.createServer({ ...pair, ...options }) : http.createServer(options);
    const way = new Way(server, pair !== undefined);
    server.on('request', (request, response) => way.answer(request, response, answers));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ways.push(way);
    return way;
  }

  connect(): Socket {
    const { port } = this.server.address() as AddressInfo;
    const to = { port, host: '127.0.0.1', rejectUnauthorized: false };
    return (this.isSecure ? tls.connect(to) : net.connect(to)).on('error', () => undefined);
  }

  /** Resolves when the next answer is over, to whether it is the last of its connection. */
  nextIsOver(): Promise<boolean> {
    return new Promise((resolve) => (this.onOver = resolve));
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private answer(
    { socket, url }: IncomingMessage,
    response: ServerResponse,
    answers: readonly Answer[],
  ): void {
    const events: string[] = [];
    this.seen.push({ events, writes: writesOf(socket) });
    for (const event of EVENTS) response.on(event, () => events.push(event + stateOf(response)));
    response.on('close', () => this.onOver?.(socket.writableEnded || socket.destroyed));
    answers[Number(url!.slice(1))]!(response);
    events.push(`returned${stateOf(response)}`);
  }
}

const EVENTS = ['prefinish', 'finish', 'called', 'drain', 'error', 'close'];
const ways: Way[] = [];
afterEach(() => ways.splice(0).forEach((way) => way.close()));

function stateOf({ writableEnded, writableFinished, headersSent, destroyed }: ServerResponse): string {
  return ` ${[writableEnded, writableFinished, headersSent, destroyed].map(Number).join('')}`;
}

/** Collects from now on in what numbers chunks are given to a connection. */
function writesOf(socket: Socket): number[] {
  const { _write, _writev } = net.Socket.prototype as unknown as Record<string, (...args: unknown[]) => void>;
  const writes: number[] = [];
  Object.assign(socket, {
    _write(this: Socket, ...args: unknown[]) {
      writes.push(1);
      _write!.apply(this, args);
    },
    _writev(this: Socket, ...args: unknown[]) {
      writes.push((args[0] as unknown[]).length);
      _writev!.apply(this, args);
    },
  });
  return writes;
}

/** Sends requests, each when the answer before it is over, on as few connections as will do. Returns all that came back. */
async function talk(way: Way, requests: readonly string[]): Promise<string> {
  const chunks: Buffer[] = [];
  let connection: Socket | undefined;
  for (const request of requests) {
    connection ??= way.connect().on('data', (chunk: Buffer) => chunks.push(chunk));
    const over = way.nextIsOver();
    connection.write(request);
    if (!(await over) && request !== requests.at(-1)) continue;
    connection.end();
    if (!connection.closed) await once(connection, 'close');
    connection = undefined;
  }
  return textOf(chunks);
}

/** Sends requests together, of which the last ends the connection. Returns all that came back. */
async function received(connection: Socket, requests: string): Promise<string> {
  const chunks: Buffer[] = [];
  connection.on('data', (chunk: Buffer) => chunks.push(chunk));
  connection.write(requests);
  await once(connection, 'close');
  return textOf(chunks);
}

function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks)
    .toString('latin1')
    .replaceAll(/^Date: .*$/gm, 'Date: now');
}

const BASE = ['X-Content-Type-Options', 'nosniff'];
const LENGTH = (body: string | Buffer) => ['Content-Length', String(Buffer.byteLength(body))];

/** How a head is made. */
const HEADS: Record<string, (response: ServerResponse, status: number, body: string | Buffer) => void> = {
  'a length': (response, status, body) => response.writeHead(status, [...BASE, ...LENGTH(body)]),
  'no length': (response, status) => response.writeHead(status, BASE),
  'a name set before': (response, status, body) =>
    response.setHeader('Vary', 'Origin').writeHead(status, [...BASE, ...LENGTH(body)]),
  close: (response, status, body) => response.writeHead(status, [...LENGTH(body), 'Connection', 'close']),
  'the last of its connection': (response, status, body) => {
    response.shouldKeepAlive = false;
    response.writeHead(status, LENGTH(body));
  },
  'a letter beyond ASCII': (response, status, body) =>
    response.writeHead(status, ['Letter', 'é', ...LENGTH(body)]),
  chunks: (response, status) => response.writeHead(status, ['Transfer-Encoding', 'chunked']),
  nothing: (response, status) => void (response.statusCode = status),
};

const BODIES: readonly (string | Buffer)[] = [
  '',
  'text',
  'é漢😀',
  'x'.repeat(20_000),
  'é漢'.repeat(4_000),
  Buffer.alloc(0),
  Buffer.from([0, 13, 10, 127, 128, 255]),
  Buffer.alloc(4096, 'é'),
  Buffer.alloc(4097, 'é'),
  Buffer.alloc(20_000, 255),
];

/** How a body is sent. */
const SENDINGS: Record<string, (response: ServerResponse, body: string | Buffer) => void> = {
  'at the end': (response, body) => response.end(body),
  'before the end': (response, body) => void (response.write(body), response.end()),
  'half of it before the end': (response, body) =>
    void (response.write(body.slice(0, 2)), response.end(body.slice(2))),
  'in an encoding': (response, body) => response.end(body, 'latin1'),
  'with a callback': (response, body) => response.end(body, () => response.emit('called')),
  'after its head': (response, body) => void (response.flushHeaders(), response.end(body)),
  corked: (response, body) => {
    response.cork();
    response.end(body);
    response.uncork();
  },
  twice: (response, body) => void (response.end(body), response.end()),
  'as bytes of no Buffer': (response, body) => response.end(new Uint8Array(Buffer.from(body))),
  'and writes after it': (response, body) => void (response.end(body), response.write('more')),
};

/** What a client sends before the path and after it. */
const FORMS: readonly [string, string, ...string[]][] = [
  ['GET', '1.1'],
  ['HEAD', '1.1'],
  ['GET', '1.0'],
  ['GET', '1.0', 'Connection: keep-alive'],
  ['GET', '1.1', 'Connection: close'],
];

const CLOSING = FORMS.at(-1)!;

function requestOf([method, version, ...headers]: (typeof FORMS)[number], answer: number): string {
  return lines(`${method} /${answer} HTTP/${version}`, 'Host: localhost', ...headers);
}

/** All the answers that can be made of these, with words for each. */
function combined(
  statuses: readonly number[],
  heads: readonly string[],
  sendings: readonly string[],
): readonly (readonly [string, Answer])[] {
  const both = heads.flatMap((head) => sendings.map((sending) => [head, sending] as const));
  return statuses.flatMap((status) =>
    both.flatMap(([head, sending]) =>
      BODIES.map((body, i) => {
        const answer = (response: ServerResponse) => {
          HEADS[head]!(response, status, body);
          SENDINGS[sending]!(response, body);
        };
        return [`${status}, ${head}, body ${i} ${sending}`, answer] as const;
      }),
    ),
  );
}

const ALL_HEADS = Object.keys(HEADS);
const ALL_STATUSES = [200, 201, 204, 206, 304, 404, 500, 503];
/** For each form every kind of one part beside what is usual of the others. */
const KINDS = FORMS.map((form, i) => {
  const heads = combined([200], ALL_HEADS, ['at the end']);
  const rest = i > 0 ? [] : combined([200], ['a length', 'nothing'], Object.keys(SENDINGS));
  return [form, [...combined(ALL_STATUSES, ['a length'], ['at the end']), ...heads, ...rest]] as const;
});

async function compare([form, kinds]: (typeof KINDS)[number], pair?: Pair): Promise<void> {
  const answers = kinds.map(([, answer]) => answer);
  const requests = kinds.map((_, i) => requestOf(form, i));
  const ordinary = await Way.start(ServerResponse, answers, pair);
  const atOnce = await Way.start(OneWriteResponse, answers, pair);
  const [expected, sent] = await Promise.all([talk(ordinary, requests), talk(atOnce, requests)]);
  expect(firstDifference(sent, expected)).toBeUndefined();
  const named = (way: Way) => way.seen.map(({ events }, i) => [kinds[i]![0], ...events]);
  expect(named(atOnce)).toEqual(named(ordinary));
}

/** What stands around the first place where two texts differ: they are too long to be shown. */
function firstDifference(a: string, b: string): [string, string] | undefined {
  if (a === b) return undefined;
  let at = 0;
  while (a[at] === b[at]) at++;
  const around = (text: string) => text.slice(Math.max(0, at - 200), at + 50);
  return [around(a), around(b)];
}

type Send = (data: string, encoding?: string, callback?: () => void) => boolean;

/** What a later Node might do when it is asked to send something, by others than itself. */
const CHANGES: Record<string, (send: Send, ...args: Parameters<Send>) => boolean> = {
  'lets nobody else do it': () => {
    throw new TypeError('_send is private');
  },
  'never tells that it is done': (send, data, encoding) => send(data, encoding),
  'tells too early that it is done': (send, data, encoding, callback) => (callback!(), send(data, encoding)),
  'sends the head by itself': (send, ...args) => (send(''), send(...args)),
  'takes another encoding': (send, data, _encoding, callback) => send(data, 'utf16le', callback),
  'sends more': (send, data, encoding, callback) => send(`${data}.`, encoding, callback),
  'sends nothing': (_send, _data, _encoding, callback) => (process.nextTick(callback!), true),
};

/** Returns Node's class of answers with another inside. */
function changed(change: (typeof CHANGES)[string]): typeof ServerResponse {
  return class extends ServerResponse {
    private isEnding = false;

    override end(...[body, encoding]: never[]): this {
      this.isEnding = true;
      // In two chunks, as Node did before version 24.
      super.write(body, encoding);
      super.end();
      this.isEnding = false;
      return this;
    }

    protected _send(...args: Parameters<Send>): boolean {
      const { _send } = ServerResponse.prototype as unknown as { _send: Send };
      const send = _send.bind(this);
      return this.isEnding ? send(...args) : change(send, ...args);
    }
  } as unknown as typeof ServerResponse;
}

beforeAll(async () => {
  // On a Node whose insides differ this says so; the server then answers in Node's own way.
  expect(await proveOneWrite()).toBe(true);
});

describe('answers in one write are those of Node, byte for byte and event for event,', () => {
  test.each(KINDS.map((kinds) => [kinds[0].join(' '), kinds] as const))('to %s', (_, kinds) =>
    compare(kinds),
  );

  test('to requests that are sent together, whichever answer is made first', async () => {
    const answers = BODIES.map((body, i) => async (response: ServerResponse) => {
      for (let turn = 0; turn < (i * 7) % 4; turn++) await nextTurn();
      response.writeHead(200, LENGTH(body)).end(body);
    });
    const requests = answers.map((_, i) => requestOf(i < answers.length - 1 ? FORMS[0]! : CLOSING, i));
    const sent = await Promise.all(
      [ServerResponse, OneWriteResponse].map(async (of) => {
        const way = await Way.start(of, answers);
        return received(way.connect(), requests.join(''));
      }),
    );
    expect(firstDifference(sent[1]!, sent[0]!)).toBeUndefined();
  });

  test('to a client that does not read, whose answer is over when it has taken all', async () => {
    // More than the system keeps for a connection.
    const body = 'é'.repeat(2 ** 23);
    const answer = (response: ServerResponse) => void response.writeHead(200, LENGTH(body)).end(body);
    const all = await Promise.all(
      [ServerResponse, OneWriteResponse].map(async (of) => {
        const way = await Way.start(of, [answer]);
        const client = way.connect().pause();
        const text = received(client, requestOf(CLOSING, 0));
        await eventually(() => way.seen.length === 1);
        for (let turn = 0; turn < 10; turn++) await nextTurn();
        const before = [...way.seen[0]!.events];
        client.resume();
        return { before, text: await text, events: way.seen[0]!.events };
      }),
    );
    expect(firstDifference(all[1]!.text, all[0]!.text)).toBeUndefined();
    expect(all[1]!.before).toEqual(['prefinish 1010', 'returned 1010']);
    expect(all[1]!.events).toEqual(all[0]!.events);
  });

  const openssl = requireProgram('openssl');
  openssl.describe('', () => {
    test('over https', () => {
      const { key, cert } = certificate();
      const pair = { key: readFileSync(key), cert: readFileSync(cert) };
      return compare([FORMS[0]!, combined([200, 404], ['a length', 'close'], ['at the end'])], pair);
    });
  });
});

test('an answer whose client goes away in the middle is over once', async () => {
  const body = 'x'.repeat(2 ** 25);
  const way = await Way.start(OneWriteResponse, [
    (response) => response.writeHead(200, LENGTH(body)).end(body),
  ]);
  const client = way.connect().pause();
  const over = way.nextIsOver();
  client.write(requestOf(FORMS[0]!, 0));
  await eventually(() => way.seen.length === 1);
  (client as net.Socket).resetAndDestroy();
  expect(await over).toBe(true);
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  expect(way.seen[0]!.events.filter((event) => event.startsWith('close')).length).toBe(1);
});

describe('an answer whose body comes with its end', () => {
  const SMALL = BODIES.filter((body) => body.length > 0 && (typeof body === 'string' || body.length <= 4096));
  const answers = SMALL.map(
    (body) => (response: ServerResponse) => void response.writeHead(200, LENGTH(body)).end(body),
  );
  const requests = answers.map((_, i) => requestOf(FORMS[0]!, i));

  async function writesOfEach(): Promise<number[][]> {
    const way = await Way.start(OneWriteResponse, answers);
    await talk(way, requests);
    return way.seen.map(({ writes }) => writes);
  }

  afterEach(() => proveOneWrite());

  test('takes one write of one chunk', async () => {
    expect(await writesOfEach()).toEqual(answers.map(() => [1]));
  });

  test.each(Object.keys(CHANGES))('goes the way of a Node that %s', async (change) => {
    expect(await proveOneWrite(changed(CHANGES[change]!))).toBe(false);
    // From version 24 on Node takes one chunk by itself.
    const chunks = Number(process.versions.node.split('.')[0]) < 24 ? 2 : 1;
    expect(await writesOfEach()).toEqual(answers.map(() => [chunks]));
  });
});
