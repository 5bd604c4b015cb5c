import { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/*
 * An answer goes out in one write.
 *
 * Problem: up to version 22 Node gives the connection an empty chunk of its own for the end of every answer, and every Node
 * gives it head and bytes as two. Two chunks go the way of `writev`, with a list, a request object and a copy of both,
 * which with the call itself was half of the processor time of a read; one string goes to the system straight from the
 * stack. Design: few bytes are handed over as latin1, which are the same bytes, so that they follow the head in one string.
 * Where Node takes two chunks for that, an answer whose head is made and not out yet, and whose whole body comes with
 * `end`, is given to the connection as one, and what Node would call after the empty one is called after it. Everything
 * else goes Node's own way: answers that wait for others on their connection, chunks, bodies in several pieces or none, what
 * is corked. The head is always made by Node, which checks its names and values.
 *
 * Guarantee: bytes and events are those of Node's own way, in the same order. Node does not promise the members of
 * `Insides`, so one-write-proof.ts first sends examples to a connection in memory, both ways. Unless all of them come out
 * alike, every answer goes Node's own way.
 */

/** What is used of Node's answers without being a part of their documented interface. */
interface Insides {
  readonly _hasBody: boolean;
  readonly _headerSent: boolean;
  readonly _header: string | null;
  readonly chunkedEncoding: boolean;
  finished: boolean;
  /** Gives text to the connection, after the head if that is not out. */
  _send(data: string, encoding: Encoding, callback: () => void): boolean;
  /** Is called when all of the answer has been given to the connection. */
  _finish(): void;
}

type OpenResponse = ServerResponse & Insides;
type AnsweringSocket = Socket & { readonly _httpMessage?: unknown; readonly _hadError?: boolean };
export type Encoding = 'utf8' | 'latin1';

/** More bytes cost more to copy behind the head than as a chunk of their own. */
const MOST_COPIED = 4096;

let isAllowedNow = false;

/** Answers that go out in one write, once that is allowed. */
export class OneWriteResponse extends ServerResponse {
  // Of Node's forms those without a callback are taken.
  override end(...args: never[]): this {
    const [body, given = 'utf8'] = args as unknown[];
    if (args.length > 2 || !isShort(body) || !isKnown(given)) return super.end(...args);
    const encoding = typeof body === 'string' ? given : 'latin1';
    const text = typeof body === 'string' ? body : body.toString('latin1');
    if (isAllowedNow && isOpen(this)) return endAtOnce(this, text, encoding);
    return super.end(text, encoding);
  }
}

/** Has answers go out in one write from now on, or in Node's own way. */
export function allowOneWrite(isAllowed: boolean): void {
  isAllowedNow = isAllowed;
}

function isKnown(encoding: unknown): encoding is Encoding {
  return encoding === 'utf8' || encoding === 'latin1';
}

function isShort(body: unknown): body is string | Buffer {
  if (typeof body === 'string') return body !== '';
  return Buffer.isBuffer(body) && body.length > 0 && body.length <= MOST_COPIED;
}

/** Returns whether a head without chunks is made, nothing of the answer is out, and the connection takes what is sent. */
export function isOpen(response: ServerResponse): response is OpenResponse {
  const { _hasBody, _headerSent, _header, chunkedEncoding, finished } = response as OpenResponse;
  if (!_hasBody || _headerSent || !_header || chunkedEncoding || finished) return false;
  const socket = response.socket as AnsweringSocket | null;
  return (
    socket?._httpMessage === response &&
    socket.writable &&
    socket.writableCorked === 0 &&
    !response.strictContentLength
  );
}

/** Sends all of an answer as one chunk. */
export function endAtOnce<T extends OpenResponse>(response: T, body: string, encoding: Encoding): T {
  const finish = () => {
    if (!(response.socket as AnsweringSocket | null)?._hadError) response.emit('finish');
  };
  response._send(body, encoding, finish);
  response.finished = true;
  response._finish();
  return response;
}
