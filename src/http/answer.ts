import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError, ERRORS } from '../errors.js';
import { HEADERS_OF, STATUS_OF } from './status-of.js';

/*
 * Answers are written by the functions here and by nothing else, so that every one carries the same guards. They hand
 * Node a flat list of names and values, which it writes out without the detour over setHeader's map.
 */

/** Sent with every answer: no sniffing, no embedding, no referrer, nothing a stored value could run. */
export const GUARD_HEADERS: readonly string[] = [
  'X-Content-Type-Options',
  'nosniff',
  'Cross-Origin-Resource-Policy',
  'same-origin',
  'Referrer-Policy',
  'no-referrer',
];

const CONTENT_SECURITY = ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"];

/** A stored answer is asked about again; the Back button does not write again. */
export const REVALIDATE = ['Cache-Control', 'no-cache'];
const NO_STORE = ['Cache-Control', 'no-store'];

const DATA_HEADERS = [
  ...GUARD_HEADERS,
  ...CONTENT_SECURITY,
  ...REVALIDATE,
  'Content-Type',
  'application/json',
];
const ERROR_HEADERS = [
  ...GUARD_HEADERS,
  ...CONTENT_SECURITY,
  ...NO_STORE,
  'Content-Type',
  'application/json',
];

/** Answers JSON text. */
export function answerJson(response: ServerResponse, status: number, json: string): void {
  response.writeHead(status, [...DATA_HEADERS, 'Content-Length', String(Buffer.byteLength(json))]);
  response.end(json);
}

/** Starts an answer of JSON text that follows in pieces, or, for HEAD, not at all. */
export function startJson(response: ServerResponse, headers: readonly string[] = []): void {
  response.writeHead(200, [...DATA_HEADERS, ...headers]);
}

/** Answers a request about a route: nothing but headers. */
export function answerOptions(response: ServerResponse, allow: string): void {
  response.writeHead(204, [...GUARD_HEADERS, ...CONTENT_SECURITY, ...NO_STORE, 'Allow', allow]);
  response.end();
}

/** Answers an error of the table as `{title, detail}`. */
export function answerError(
  response: ServerResponse,
  error: DatabaseError,
  status = STATUS_OF[error.code],
  headers: readonly string[] = [],
): void {
  if (response.headersSent) {
    // Half an answer must never look like a whole one.
    response.destroy();
    return;
  }
  if (hasBody(response.req)) closeAfter(response.req, response);
  const body = errorBody(error);
  response.writeHead(status, [
    ...ERROR_HEADERS,
    ...(HEADERS_OF[status] ?? []),
    ...headers,
    'Content-Length',
    String(Buffer.byteLength(body)),
  ]);
  response.end(body);
}

/** Answers a method that the path does not have. */
export function refuseMethod(request: IncomingMessage, response: ServerResponse, allow: string): void {
  const detail = `This path answers ${allow}, not ${request.method}. Nothing was changed.`;
  answerError(response, new DatabaseError('method-not-allowed', detail), undefined, ['Allow', allow]);
}

function errorBody(error: DatabaseError): string {
  return JSON.stringify({ title: ERRORS[error.code], detail: error.detail });
}

/** The whole answer, head and body, to bytes that are no request; the connection ends with it. */
export function rawError(error: DatabaseError, reason: string): string {
  const status = STATUS_OF[error.code];
  const body = errorBody(error);
  let head = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let i = 0; i < ERROR_HEADERS.length; i += 2)
    head += `${ERROR_HEADERS[i]}: ${ERROR_HEADERS[i + 1]}\r\n`;
  return `${head}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** The connection ends with this answer: for requests whose body nobody will read. */
export function closeAfter(request: IncomingMessage, response: ServerResponse): void {
  response.shouldKeepAlive = false;
  request.resume();
}
