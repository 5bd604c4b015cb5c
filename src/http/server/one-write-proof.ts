import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { allowOneWrite, endAtOnce, isOpen, type Encoding } from './one-write.js';

/**
 * Has answers go out in one write. Returns whether they do: not where Node takes two and its insides are not as they are
 * known.
 * @param NodesResponse Node's own class of answers
 */
export async function proveOneWrite(NodesResponse = ServerResponse): Promise<boolean> {
  const proof = await compareAll(NodesResponse).catch(() => ({ isNeeded: true, isAlike: false }));
  allowOneWrite(proof.isNeeded && proof.isAlike);
  return proof.isAlike || !proof.isNeeded;
}

const REQUEST = { method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1 } as IncomingMessage;
/** What the examples have in their heads: also a letter that is not the same in utf8 and latin1. */
const EXAMPLE_HEAD = ['Date', 'Thu, 01 Jan 1970 00:00:00 GMT', 'Example', 'é', 'Content-Length', '9'];
const EXAMPLES: readonly (readonly [string, Encoding])[] = [
  ['text', 'utf8'],
  ['é漢😀', 'utf8'],
  ['x'.repeat(70_000), 'utf8'],
  ['\0\r\n\x7f\x80ÿ', 'latin1'],
];

/**
 * Sends examples in both ways, to connections that take them at once and later.
 * @returns whether Node takes more than one write for any, and whether the other way takes one and is like Node's
 */
async function compareAll(NodesResponse: typeof ServerResponse) {
  const proof = { isNeeded: false, isAlike: true };
  for (const [body, encoding] of EXAMPLES) {
    for (const isLate of [false, true]) {
      const response = () => new NodesResponse(REQUEST);
      const ordinary = await record(response(), isLate, (answer) => answer.end(body, encoding));
      const atOnce = await record(response(), isLate, (answer) => {
        if (isOpen(answer)) endAtOnce(answer, body, encoding);
      });
      proof.isNeeded ||= ordinary.chunks > 1;
      proof.isAlike &&= atOnce.chunks === 1 && isDeepStrictEqual(atOnce.seen, ordinary.seen);
    }
  }
  return proof;
}

/** Returns in how many chunks an answer goes out, and what its connection and its listeners have seen, in order. */
async function record(response: ServerResponse, isLate: boolean, send: (response: ServerResponse) => void) {
  const connection = new Recorder(isLate);
  const seen: unknown[] = [];
  const see = (what: string) => seen.push(what, response.writableEnded, response.writableFinished);
  response.on('prefinish', () => see('prefinish')).on('finish', () => see('finish'));
  response.assignSocket(connection as unknown as Socket);
  response.writeHead(200, EXAMPLE_HEAD);
  send(response);
  see('sent');
  await nextTurn();
  see('a turn later');
  connection.takeAll();
  await nextTurn();
  see('taken');
  seen.push(connection.bytes.toString('latin1'));
  return { chunks: connection.chunks, seen };
}

/** A connection in memory. */
class Recorder extends Writable {
  bytes = Buffer.alloc(0);
  chunks = 0;
  private taken: (() => void) | undefined;

  /** @param isLate whether it takes nothing before `takeAll` */
  constructor(private readonly isLate: boolean) {
    super({ decodeStrings: false });
  }

  override _write(chunk: string | Buffer, encoding: BufferEncoding, callback: () => void): void {
    this._writev([{ chunk, encoding }], callback);
  }

  override _writev(chunks: Chunk[], callback: () => void): void {
    this.chunks += chunks.length;
    const parts = chunks.map(({ chunk, encoding }) => Buffer.from(chunk as string, encoding));
    this.bytes = Buffer.concat([this.bytes, ...parts]);
    if (this.isLate) this.taken = callback;
    else callback();
  }

  takeAll(): void {
    this.taken?.();
  }
}

interface Chunk {
  readonly chunk: string | Buffer;
  readonly encoding: BufferEncoding;
}
