import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError, ERRORS } from '../../errors.js';
import { headersOf, STATUS_OF } from './error-status.js';
import { closeAfter } from './lingering-close.js';
import { writePaced } from './paced-writer.js';
import { countUnsent } from './unsent-answers.js';

/*
 * Answers are written by the functions here and by nothing else, so that every one carries the same guards. They hand
 * Node a flat list of names and values, which it writes out without the detour over setHeader's map.
 */

/** Headers of every answer: no sniffing, no embedding, no referrer. */
export const GUARD_HEADERS: readonly string[] = [
  'X-Content-Type-Options',
  'nosniff',
  'Cross-Origin-Resource-Policy',
  'same-origin',
  'Referrer-Policy',
  'no-referrer',
];

const CONTENT_SECURITY = ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"];
/** For stored values: whatever they are, they get no script, no form and no origin. */
const SANDBOX = ['Content-Security-Policy', "sandbox; default-src 'none'; frame-ancestors 'none'"];

/** A cache asks again before it uses a stored answer; the Back button does not write again. */
const REVALIDATE = ['Cache-Control', 'no-cache'];
export const NO_STORE: readonly string[] = ['Cache-Control', 'no-store'];

const BASE = [...GUARD_HEADERS, ...CONTENT_SECURITY];
const JSON_TYPE = ['Content-Type', 'application/json'];
const DATA_HEADERS = [...BASE, ...REVALIDATE, ...JSON_TYPE];
const UNCACHED_HEADERS = [...BASE, ...NO_STORE, ...JSON_TYPE];
const VALUE_HEADERS = [...GUARD_HEADERS, ...SANDBOX, ...REVALIDATE];
/** Headers of files that are part of the server. */
export const ASSET_HEADERS: readonly string[] = [...BASE, 'Cache-Control', 'max-age=86400'];
const IMMUTABLE = ['Cache-Control', 'max-age=31536000, immutable'];
const NO_HEADERS: readonly string[] = [];
/** What is handed to the system at once. */
const PIECE_BYTES = 256 * 1024;

/** Returns the Vary header of answers that depend on Accept, and on Origin where some origins are allowed. */
export function vary(response: ServerResponse): readonly string[] {
  return ['Vary', response.hasHeader('Vary') ? 'Accept, Origin' : 'Accept'];
}

/**
 * Answers JSON text. A document of any but the original routes ends with a new line, so that the prompt of a terminal
 * does not stand behind it.
 */
export function answerJson(
  response: ServerResponse,
  status: number,
  json: string,
  headers = NO_HEADERS,
): void {
  const bytes = Buffer.byteLength(json);
  countUnsent(response, bytes);
  response.writeHead(status, [...DATA_HEADERS, ...headers, 'Content-Length', String(bytes)]);
  // ASCII, which nearly every answer is, takes no work in latin1.
  response.end(json, bytes === json.length ? 'latin1' : 'utf8');
}

/** Answers JSON text that is large and made already, a piece after the other. @throws DatabaseError as `writePaced` does */
export function answerJsonPieces(
  response: ServerResponse,
  pieces: readonly Buffer[],
  headers = NO_HEADERS,
): Promise<void> {
  return answerPieces(response, pieces, [...DATA_HEADERS, ...headers]);
}

async function answerPieces(
  response: ServerResponse,
  pieces: readonly Buffer[],
  headers: readonly string[],
): Promise<void> {
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  countUnsent(response, bytes);
  response.writeHead(200, [...headers, 'Content-Length', String(bytes)]);
  await writePieces(response, pieces);
}

async function writePieces(response: ServerResponse, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces.slice(0, -1)) await writePaced(response, piece);
  response.end(pieces.at(-1));
}

/** Answers JSON text that no cache may store and that may be large. @throws DatabaseError as `writePaced` does */
export function answerUncachedPieces(response: ServerResponse, pieces: readonly Buffer[]): Promise<void> {
  return answerPieces(response, pieces, UNCACHED_HEADERS);
}

/** Answers text that no cache may store, JSON or of another type. */
export function answerUncached(
  response: ServerResponse,
  status: number,
  text: string,
  headers = NO_HEADERS,
  type = 'application/json',
): void {
  const bytes = Buffer.byteLength(text);
  countUnsent(response, bytes);
  const own = [...BASE, ...NO_STORE, 'Content-Type', type];
  response.writeHead(status, [...own, ...headers, 'Content-Length', String(bytes)]);
  response.end(text);
}

/** Starts an answer whose text follows in pieces, or, for HEAD, not at all. */
export function startText(response: ServerResponse, type: string, headers = NO_HEADERS): void {
  response.writeHead(200, [...BASE, ...REVALIDATE, 'Content-Type', type, ...headers]);
}

/** Starts an answer that is a file to be kept, which follows in pieces. */
export function startDownload(response: ServerResponse, name: string, headers = NO_HEADERS): void {
  response.writeHead(200, [
    ...BASE,
    ...NO_STORE,
    'Content-Type',
    'application/octet-stream',
    'Content-Disposition',
    `attachment; filename="${name}"`,
    ...headers,
  ]);
}

/** Starts Server-Sent Events. The body ends with the connection: chunks would cost four writes an event. */
export function startEvents(response: ServerResponse): void {
  response.removeHeader('Transfer-Encoding');
  response.shouldKeepAlive = false;
  response.writeHead(200, [
    ...BASE,
    'Content-Type',
    'text/event-stream',
    'Cache-Control',
    'no-cache, no-transform',
    'X-Accel-Buffering',
    'no',
    ...vary(response),
  ]);
}

/** Answers a stored value, or a part of it; a large one in pieces, because the system takes its time to copy it. */
export function answerValue(
  response: ServerResponse,
  status: number,
  value: Buffer,
  headers: readonly string[],
): void | Promise<void> {
  const isLarge = value.length > PIECE_BYTES;
  // A part keeps all of the value in memory.
  countUnsent(response, isLarge ? value.buffer.byteLength : value.length);
  response.writeHead(status, [...VALUE_HEADERS, ...headers, 'Content-Length', String(value.length)]);
  if (isLarge) return writePieces(response, piecesOf(value));
  response.end(value);
}

function piecesOf(value: Buffer): Buffer[] {
  const count = Math.ceil(value.length / PIECE_BYTES);
  return Array.from({ length: count }, (_, i) => value.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES));
}

/** Answers HEAD for a stored value of `size` bytes. */
export function answerValueHead(response: ServerResponse, size: number, headers: readonly string[]): void {
  response.writeHead(200, [...VALUE_HEADERS, ...headers, 'Content-Length', String(size)]);
  response.end();
}

/** Answers a file that is part of the server. */
export function answerAsset(response: ServerResponse, type: string, text: string): void {
  const length = String(Buffer.byteLength(text));
  response.writeHead(200, [...ASSET_HEADERS, 'Content-Type', type, 'Content-Length', length]);
  response.end(text);
}

/** Answers a file that is part of the server and whose address changes with it, compressed for whoever takes that. */
export function answerFile(response: ServerResponse, type: string, bytes: Buffer, gzipped: Buffer): void {
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(
    String(response.req.headers['accept-encoding'] ?? ''),
  );
  const body = takesGzip ? gzipped : bytes;
  const encoding = takesGzip ? ['Content-Encoding', 'gzip'] : NO_HEADERS;
  const length = ['Content-Type', type, 'Content-Length', String(body.length), 'Vary', 'Accept-Encoding'];
  response.writeHead(200, [...BASE, ...IMMUTABLE, ...encoding, ...length]);
  response.end(body);
}

/** Answers where to look instead, a path that is relative to that of the request. */
export function redirect(response: ServerResponse, location: string): void {
  response.writeHead(308, [...BASE, ...NO_STORE, 'Location', location, 'Content-Length', '0']);
  response.end();
}

/** Answers with nothing but headers. */
export function answerEmpty(response: ServerResponse, status: 204 | 304, headers = NO_HEADERS): void {
  response.writeHead(status, [...BASE, ...REVALIDATE, ...headers]);
  response.end();
}

/** Answers OPTIONS: nothing but headers. */
export function answerOptions(response: ServerResponse, allow: string, headers = NO_HEADERS): void {
  response.writeHead(204, [...BASE, ...NO_STORE, 'Allow', allow, ...headers]);
  response.end();
}

/** Answers an error of the table: a problem document (RFC 9457) or `{title, detail}`, as the path decides. */
export function answerError(
  response: ServerResponse,
  error: DatabaseError,
  status = STATUS_OF[error.code],
  headers = NO_HEADERS,
): void {
  if (response.headersSent) {
    // Half an answer must never look like a whole one.
    response.destroy();
    return;
  }
  if (!response.req.complete && hasBody(response.req)) closeAfter(response.req, response);
  const { type, body } = errorText(error, response.req.url!);
  response.writeHead(status, [
    ...BASE,
    ...NO_STORE,
    'Content-Type',
    type,
    ...headersOf(error, response.req.method),
    ...headers,
    'Content-Length',
    String(Buffer.byteLength(body)),
  ]);
  response.end(body);
}

/** Returns a problem, or `{title, detail}` for the original routes and everything around them: the path decides. */
function errorText(error: DatabaseError, url: string): { type: string; body: string } {
  if (speaksProblems(url))
    return { type: 'application/problem+json', body: `${JSON.stringify(problemOf(error))}\n` };
  const title = ERRORS[error.code][0];
  return { type: 'application/json', body: JSON.stringify({ title, detail: error.detail }) };
}

/** Where clients reach the server, without a slash at its end; empty if paths alone lead there. */
let publicBase = '';

/** Has the `type` of problems begin with PUBLIC_URL, below which a proxy may serve `/problems`. */
export function setProblemBase(publicUrl: string): void {
  publicBase = publicUrl;
}

/** Returns the problem document of an error as an object. */
export function problemOf(error: DatabaseError): object {
  const { code, detail, context } = error;
  const [title] = ERRORS[code];
  return { type: `${publicBase}/problems/${code}`, code, title, status: STATUS_OF[code], detail, ...context };
}

/** Whether errors of a path are problem documents. */
export function speaksProblems(url: string): boolean {
  return /^\/(?:(?:kv|tokens)(?:[/?#]|$)|(?:batch|backup)(?:[?#]|$))/.test(url);
}

/** Answers a method that the path does not have. */
export function refuseMethod(request: IncomingMessage, response: ServerResponse, allow: string): void {
  const detail = `This path answers ${allow}, not ${request.method}. Nothing was changed.`;
  answerError(response, new DatabaseError('method-not-allowed', detail), undefined, ['Allow', allow]);
}

/** Returns the whole answer, head and body, to bytes that are no request; the connection ends with it. */
export function rawError(error: DatabaseError, reason: string, url: string): string {
  const status = STATUS_OF[error.code];
  const { type, body } = errorText(error, url);
  const headers = [...BASE, ...NO_STORE, 'Content-Type', type];
  let head = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${head}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

/** Whether the request announces a body, read or not. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}
