import {
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { DatabaseError } from '../errors.js';
import { answerError, closeAfter, rawError } from './answer.js';
import { STATUS_OF } from './status-of.js';

const HEADERS_TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 64 * 1024;

/** Limits given when the server is made. `requestTimeout` is the server's, not a route's, and would cut long uploads. */
export const HTTP_LIMITS: ServerOptions = {
  maxHeaderSize: MAX_HEADER_BYTES,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: 0,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 65_000,
};

/** Limits set on a server that exists, and answers to what never becomes a request. */
export function limitServer(server: Server): void {
  // Node would silently drop the headers beyond a maximum, a guard's header among them; the gate counts instead.
  server.maxHeadersCount = 0;
  server.maxRequestsPerSocket = 0;
  server.maxConnections = 10_000;
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
    answerClientError(error, socket),
  );
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    closeAfter(request, response);
    answerError(response, new DatabaseError('expectation-failed', 'The only expectation is `100-continue`.'));
  });
}

function answerClientError({ code }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const error = clientError(code);
  socket.end(rawError(error, STATUS_CODES[STATUS_OF[error.code]]!), () => socket.destroy());
}

function clientError(code: string | undefined): DatabaseError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new DatabaseError(
        'headers-too-large',
        `URL and headers may take ${MAX_HEADER_BYTES} bytes together.`,
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
    default:
      return new DatabaseError('malformed-request', 'What was sent is not an HTTP/1.1 request.');
  }
}
