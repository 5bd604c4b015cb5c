import { errorOf, PigeonholeError } from './error.js';

/** A token, or what returns one: it is asked before every request. */
export type TokenSource = string | undefined | (() => string | undefined | Promise<string | undefined>);

export interface ClientOptions {
  readonly token?: TokenSource;
  /** How often a request is repeated that may be; 3 by default. */
  readonly retries?: number;
  /** What sends requests, instead of the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export type QueryValue = string | number | boolean | Date | undefined | readonly string[];

/** One request to the server. */
export interface Call {
  /** GET by default. */
  readonly method?: string;
  readonly query?: Readonly<Record<string, QueryValue>>;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: string | Blob | Uint8Array<ArrayBuffer> | ArrayBuffer | ReadableStream | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Sends a request to a path below the server's URL. */
export type Send = (path: string, call?: Call) => Promise<Response>;

/** Waits no longer than this for what `Retry-After` asks, seconds. */
const LONGEST_WAIT = 10;
const FIRST_PAUSE_MS = 100;
/** Of Node: the connection was never made, so nothing was sent. */
const NOT_SENT = /REFUSED|NOTFOUND|EAI_|UNREACH|CONNECT_TIMEOUT|TLS|CERT|SELF_SIGNED/;

/** A failed attempt. */
interface Failure {
  readonly error: PigeonholeError;
  /** Whether the request may be sent again: always, if that cannot apply it twice, or never. */
  readonly repeat: 'always' | 'if-safe' | 'never';
  /** What the server asks to wait, milliseconds. */
  readonly wait: number;
}

/**
 * Makes what sends the requests of a client.
 *
 * A request is repeated if that cannot apply it twice: reads, whatever was not sent at all, 503 with `Retry-After` (nothing
 * was applied), and conditional writes. Where the condition of a repeat fails, the lost first one may have been applied:
 * that is `outcome-unknown`, as is every other write whose answer was lost.
 */
export function makeSend(base: string, { retries = 3, token, fetch: ask = fetch }: ClientOptions): Send {
  return async (path, { method = 'GET', query = {}, headers = {}, body, signal } = {}) => {
    const url = base + path + queryText(query);
    const isRead = method === 'GET' || method === 'HEAD';
    const isSafe = isRead || !!(headers['If-Match'] ?? headers['If-None-Match']);
    let lost: PigeonholeError | undefined;
    for (let attempt = 0; ; attempt++) {
      const text = typeof token === 'function' ? await token() : token;
      const sent = present({ Authorization: text && `Bearer ${text}`, ...headers });
      const init = { method, body, headers: sent, signal, duplex: 'half' } as RequestInit;
      const answer = await ask(url, init).catch((error: unknown) => {
        signal?.throwIfAborted();
        return connectionFailure(error, base);
      });
      if (answer instanceof Response && (answer.ok || answer.status === 304)) return answer;
      const { error, repeat, wait } = answer instanceof Response ? await refusal(answer) : answer;
      if (repeat === 'if-safe' && !isRead) lost = error;
      const isOver = attempt >= retries || body instanceof ReadableStream || repeat === 'never';
      if (isOver || (repeat === 'if-safe' && !isSafe))
        throw lost && (error === lost || error.status === 412 || repeat !== 'never') ? unknown(lost) : error;
      await pause(Math.max(wait, FIRST_PAUSE_MS * 2 ** attempt * (1 + Math.random())), signal);
    }
  };
}

function connectionFailure(cause: unknown, base: string): Failure {
  const { code = '', message } = Object((cause as Error).cause ?? cause) as {
    code?: string;
    message: string;
  };
  const detail = `No answer from ${base}: ${message || code}.`;
  const error = new PigeonholeError('no-connection', 0, detail, {}, { cause });
  return { error, repeat: NOT_SENT.test(code) ? 'always' : 'if-safe', wait: 0 };
}

async function refusal(response: Response): Promise<Failure> {
  const error = await errorOf(response);
  const { status } = response;
  const after = Number(response.headers.get('Retry-After') ?? NaN);
  if (status === 503 && after <= LONGEST_WAIT) return { error, repeat: 'always', wait: after * 1000 };
  return { error, repeat: status > 501 && status < 505 ? 'if-safe' : 'never', wait: 0 };
}

function unknown({ status, detail, problem, cause }: PigeonholeError): PigeonholeError {
  const sentence = `${detail} The write may or may not have been applied: read the key first.`;
  return new PigeonholeError('outcome-unknown', status, sentence, problem, { cause });
}

function queryText(query: NonNullable<Call['query']>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().flatMap((each) => {
      if (each === undefined) return [];
      const text = each instanceof Date ? each.toISOString() : String(each);
      return [`${name}=${encodeURIComponent(text)}`];
    }),
  );
  return pairs.length > 0 ? `?${pairs.join('&')}` : '';
}

function present(headers: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value)) as Record<string, string>;
}

/** Waits. @throws what `signal` is aborted with */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, milliseconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}
