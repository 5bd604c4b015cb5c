import http, { type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { HANG_MS } from './eventually.js';

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** The body as it came. */
  readonly bytes: Buffer;
}

export interface Question {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  readonly agent?: http.Agent | false;
  /** Where the client is, one of 127.0.0.0/8. */
  readonly localAddress?: string;
}

/**
 * Sends `path` to the server on `port` as it stands: no client in between that would normalize or escape it. Bytes above
 * ASCII are given as latin1 characters and sent as those bytes.
 */
export async function ask(port: number, path: string, question: Question = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, localAddress } = question;
  const options = {
    host: '127.0.0.1',
    port,
    path,
    method,
    headers,
    agent: question.agent ?? agent,
    localAddress,
  };
  return answerTo(http.request({ ...options, timeout: HANG_MS }), `${method} ${path}`, body);
}

/** Sends the body of a request and returns the whole answer. */
export function answerTo(request: http.ClientRequest, name: string, body?: string | Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('close', () => {
        if (!response.complete) reject(new Error('the answer broke off'));
      });
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        resolve({ status: response.statusCode!, headers: response.headers, text: bytes.toString(), bytes });
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer to ${name.slice(0, 100)}`)));
    request.on('error', reject);
    request.end(body);
  });
}

/** Both sides of a pair as a form would encode them. */
export function setPath(key: string, value: string): string {
  return `/set?${encodeURIComponent(key)}=${encodeURIComponent(value)}`;
}

export function getPath(key: string): string {
  return `/get?key=${encodeURIComponent(key)}`;
}

/** Text as the latin1 string of its UTF-8 bytes: what `curl` sends for a URL typed without escapes. */
export function unescapedBytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** The database that `GET /` has to show for these pairs: key order is that of the UTF-8 bytes. */
export function wholeDatabase(pairs: ReadonlyMap<string, string>): string {
  const members = [...pairs]
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  return `{${members.join(',')}}`;
}

/** Runs `work` over `items`, at most `width` at a time. */
export async function eachAtOnce<T>(
  items: Iterable<T>,
  width: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const lane = async () => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: width }, lane));
}
