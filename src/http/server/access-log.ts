import type { IncomingMessage, ServerResponse } from 'node:http';
import { writeEventSoon } from './server-log.js';

const MAX_LENGTH = 256;

/** An answer whose body is counted. */
type CountedResponse = ServerResponse & { bodyBytes?: number };

/**
 * Logs a request when its answer is out, or its connection has ended. Values, queries and tokens never appear, and nothing
 * that a client sends can forge a line.
 */
export function logAccess(request: IncomingMessage, response: CountedResponse, address: string): void {
  const start = performance.now();
  const method = request.method!;
  const path = pathOf(request.url!);
  response.once('close', () => {
    const milliseconds = Math.round((performance.now() - start) * 10) / 10;
    const status = response.headersSent ? response.statusCode : undefined;
    const bytes = method === 'HEAD' ? 0 : (response.bodyBytes ?? 0);
    const token = request.access?.id || undefined;
    const trace = traceOf(request.headers['traceparent']);
    const isCut = response.writableFinished ? undefined : true;
    writeEventSoon({
      level: 'info',
      message:
        `${method} ${path} ${status ?? '-'} ${bytes} B ${milliseconds} ms ${address}` +
        `${token ? ` token ${token}` : ''}${trace ? ` trace ${trace}` : ''}${isCut ? ' cut off' : ''}`,
      part: 'Access',
      members: { method, path, status, bytes, milliseconds, address, token, trace, cut: isCut },
    });
  });
}

/** Makes the answers of a class count the bytes of their bodies. */
export function countBodies({ prototype }: { readonly prototype: ServerResponse }): void {
  for (const name of ['write', 'end'] as const) {
    const send = prototype[name] as (...args: unknown[]) => unknown;
    const counted = function (this: CountedResponse, ...args: unknown[]): unknown {
      this.bodyBytes = (this.bodyBytes ?? 0) + sizeOf(args[0]);
      return send.apply(this, args);
    };
    Object.defineProperty(prototype, name, { value: counted, configurable: true, writable: true });
  }
}

function sizeOf(chunk: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk);
  return chunk instanceof Uint8Array ? chunk.length : 0;
}

/** The beginning of a target in its absolute form, which may hold a password. */
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;
/** A query has values. Outside `/kv/` an `=` may stand before one that was typed in the wrong place. */
const AFTER_KEY = /[?#]/;
const AFTER_PATH = /[?#=]/;
/** Node hands over the bytes of a target as characters. */
const UNPRINTABLE = /[^\x21-\x7e]/g;

function pathOf(url: string): string {
  const target = url.replace(AUTHORITY, '');
  const end = target.search(target.startsWith('/kv/') ? AFTER_KEY : AFTER_PATH);
  const path = end < 0 ? target : target.slice(0, end);
  const shown = path.slice(0, MAX_LENGTH).replace(UNPRINTABLE, escaped);
  return path.length > MAX_LENGTH ? `${shown}…` : shown;
}

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** W3C Trace Context, 3.2.2: version, trace, parent, flags; a later version may have more. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

function traceOf(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined;
  const [, version, trace, more] = TRACEPARENT.exec(header) ?? [];
  return version === '00' && more !== undefined ? undefined : trace;
}
