import {
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { DatabaseError } from '../../errors.js';
import { rawError } from '../answer/answer.js';
import { unsupportedVersion } from '../gate/request-gate.js';
import { breakBody } from '../request/body-reader.js';
import { STATUS_OF } from '../answer/error-status.js';
import { countRefusal } from './request-meter.js';
import type { ServingSocket } from './serving-socket.js';

const HEADERS_TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 64 * 1024;
const LINGER_MS = 500;

/** Limits given when the server is made. `requestTimeout` is the server's, not a route's, and would cut long uploads. */
export const HTTP_LIMITS: ServerOptions = {
  maxHeaderSize: MAX_HEADER_BYTES,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: 0,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 65_000,
  // Node's own answer to a missing Host would carry none of our headers; the gate refuses it.
  requireHostHeader: false,
};

/** Limits set on a server that exists, and answers to what never becomes a request. */
export function limitServer(server: Server): void {
  // Beyond a maximum Node would silently drop headers, also those that a guard needs; the gate counts instead.
  server.maxHeadersCount = 0;
  server.maxRequestsPerSocket = 0;
  server.maxConnections = 10_000;
  server.on('clientError', (error: ClientError, socket: Socket) => answerClientError(error, socket));
  // Node would ask for the body by itself. The body reader asks, so that a refusal comes before the body.
  const passOn = (request: IncomingMessage, response: ServerResponse) =>
    server.emit('request', request, response);
  server.on('checkContinue', passOn);
  // The gate refuses it, after what counts more.
  server.on('checkExpectation', passOn);
  server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    const detail = 'This server is no proxy: it takes no CONNECT.';
    sendLast(new DatabaseError('malformed-request', detail), '', socket);
  });
  // A client that ends its side of the connection still gets its answers.
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
}

/** Connections that have failed: Node reports the error again with everything that still arrives. */
const failed = new WeakSet<Socket>();

/** Node's error for bytes that are no request: `rawPacket` came last, and `bytesParsed` of it were understood. */
interface ClientError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer;
  readonly bytesParsed?: number;
  readonly reason?: string;
}

/** The code is the same where only the end of the line is wrong. */
const UNKNOWN_VERSION = 'Invalid HTTP version';
const HTTP_2_PREFACE = 'HPE_PAUSED_H2_UPGRADE';

function answerClientError(failure: ClientError, socket: Socket): void {
  const { code } = failure;
  // Headers are not late while the server reads no more of the connection, because too much of it is under way.
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.isPaused()) return;
  if (code === 'ECONNRESET' || code?.startsWith('ERR_SSL_') || !socket.writable) {
    if (!socket.writableEnded) socket.destroy();
  } else if (!failed.has(socket)) {
    failed.add(socket);
    sendLast(clientError(failure), urlOf(failure), socket);
  }
}

/** Ends the connection with `error`, after the answers under way: among their bytes it would be taken for theirs. */
export function sendLast(error: DatabaseError, url: string, socket: ServingSocket): void {
  if (socket._httpMessage) {
    socket._httpMessage.once('close', () => sendLast(error, url, socket));
    breakBody(socket._httpMessage.req, error);
    return;
  }
  if (socket.writable) {
    countRefusal(STATUS_OF[error.code]);
    socket.end(rawError(error, STATUS_CODES[STATUS_OF[error.code]]!, url));
  }
  // Closing at once with bytes unread would reset the connection, and the answer with it.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

const MAX_START = 2048;

/** Returns the part of the URL that has arrived; nothing unless the bytes begin with the request that failed. */
export function urlOf({
  rawPacket,
  bytesParsed = 0,
}: Pick<ClientError, 'rawPacket' | 'bytesParsed'>): string {
  const start = rawPacket?.toString('latin1', 0, MAX_START) ?? '';
  const isFirst = !start.slice(0, bytesParsed).includes('\r\n\r\n');
  return (isFirst && /^[A-Z]+ (\/[^\s]*)/.exec(start)?.[1]) || '';
}

function clientError({ code, reason }: ClientError): DatabaseError {
  if (reason === UNKNOWN_VERSION || code === HTTP_2_PREFACE) return unsupportedVersion();
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new DatabaseError(
        'headers-too-large',
        `URL and headers may take at most ${MAX_HEADER_BYTES} bytes together.`,
      );
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new DatabaseError(
        'request-timeout',
        `The headers must arrive within ${HEADERS_TIMEOUT_MS / 1000} s.`,
      );
    case 'HPE_INVALID_URL':
      return new DatabaseError(
        'malformed-request',
        'In a URL, spaces and all but ASCII are written as escapes: a space is `%20`, an é is `%C3%A9`.',
      );
    case 'HPE_INVALID_EOF_STATE':
      return new DatabaseError('malformed-request', 'The connection ended in the middle of the request.');
    case 'HPE_INVALID_METHOD':
      return new DatabaseError('malformed-request', 'The method of the request is none that HTTP knows.');
    default:
      return new DatabaseError('malformed-request', 'What was sent is not an HTTP/1.1 request.');
  }
}
