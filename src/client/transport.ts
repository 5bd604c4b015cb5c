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

/** Sends a request to a path below the server's URL, and returns what `read` makes of the answer. */
export type Send = <T = Response>(
  path: string,
  call?: Call,
  read?: (answer: Response) => T | Promise<T>,
) => Promise<T>;

/** Of a write that is done once. */
export const KEY = 'Idempotency-Key';
/** Waits no longer than this for what `Retry-After` asks, seconds. */
const LONGEST_WAIT = 10;
const FIRST_PAUSE_MS = 100;

/** Which nobody else has chosen: two random numbers of 52 bits. */
export const newKey = () => '' + Math.random() + Math.random();
/** Of Node: the connection was never made, so nothing was sent. */
const NOT_SENT = /REFUSED|NOTFOUND|EAI_|UNREACH|CONNECT_TIMEOUT|TLS|CERT|VERIFY/;

/**
 * Makes what sends the requests of a client.
 *
 * A request is repeated if that cannot apply it twice: reads, whatever was not sent at all, 503 with `Retry-After` (nothing
 * was applied), and writes of entries and batches that are all or nothing, which have a key with which the server does them
 * once. An answer whose body breaks off is a lost one. Once the answer to a write was lost it may have been applied: whatever
 * is refused after that is `outcome-unknown`, as is a write that may not be repeated.
 */
export function makeSend(base: string, { retries = 3, token, fetch: ask = fetch }: ClientOptions): Send {
  return async (path, { method = 'GET', query = {}, headers = {}, body, signal } = {}, read) => {
    const isRead = /GET|HEAD/.test(method);
    // The class of streams takes milliseconds to load.
    const isStream = 'getReader' in Object(body);
    const isKeyed = !isRead && !isStream && (query.key || path.startsWith('kv/'));
    const key = headers[KEY] ?? (isKeyed ? newKey() : undefined);
    const search = pairs(query)
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join('&');
    const url = base + path + (search && `?${search}`);
    let lost: PigeonholeError | undefined;
    for (let attempt = 0; ; attempt++) {
      const secret = typeof token === 'function' ? await token() : token;
      const sent = pairs({ Authorization: secret ? `Bearer ${secret}` : undefined, ...headers, [KEY]: key });
      let error: PigeonholeError;
      let wait: string | false | null | undefined;
      try {
        const answer = await ask(url, { method, headers: sent, body, signal, duplex: 'half' } as RequestInit);
        if (answer.ok || answer.status === 304) return read ? await read(answer) : (answer as never);
        error = await errorOf(answer);
        wait = answer.status === 503 && answer.headers.get('Retry-After');
        // It is the answer to the lost try, too.
        if (answer.headers.get('Idempotency-Expires')) lost = undefined;
      } catch (cause) {
        signal?.throwIfAborted();
        const { message, code = '' } = ((cause as Error).cause ?? cause) as NodeError;
        const detail = `No answer from ${base}: ${message || code}.`;
        error = new PigeonholeError('no-connection', 0, detail, {}, { cause });
        if (NOT_SENT.test(code)) wait = '0';
      }
      const isPassing = [0, 502, 503, 504].includes(error.status);
      if (isPassing && !isRead && !wait) lost = unknown(error);
      const mayRepeat = isPassing && (wait ? +wait <= LONGEST_WAIT : isRead || key);
      if (!mayRepeat || attempt >= retries || isStream) throw lost ?? error;
      await pause(Math.max(+(wait || 0) * 1000, FIRST_PAUSE_MS * 2 ** attempt * (1 + Math.random())), signal);
    }
  };
}

/** An error of Node, which names its kind. */
interface NodeError extends Error {
  readonly code?: string;
}

function unknown(error: PigeonholeError): PigeonholeError {
  const detail = `${error.detail} It may have been applied.`;
  return new PigeonholeError('outcome-unknown', error.status, detail, error.problem, { cause: error });
}

/** Passes on why a body could not be read. @throws PigeonholeError `truncated` if the connection has ended within it */
export function brokenOff(cause?: unknown): never {
  if (cause && (cause as Error).name !== 'TypeError') throw cause;
  throw new PigeonholeError('truncated', 0, 'The answer broke off.', {}, { cause });
}

/** Names and values, each of several by itself, and none of what is undefined. */
function pairs(of: Readonly<Record<string, QueryValue>>): [string, string][] {
  return Object.entries(of).flatMap(([name, value]) =>
    [value ?? []]
      .flat()
      .map((each): [string, string] => [name, (each as Date).toISOString?.() ?? String(each)]),
  );
}

/** Waits. @throws what `signal` is aborted with */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
  });
  signal?.throwIfAborted();
}
