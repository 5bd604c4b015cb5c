import http, { type IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';

/** As long as Node's own `fetch` waits for a sign of life, milliseconds. */
const SILENCE_MS = 300_000;

interface Init {
  readonly method: string;
  readonly headers: [string, string][];
  readonly body?: string | Uint8Array | ArrayBuffer | Blob | ReadableStream;
  readonly signal?: AbortSignal;
}

/*
 * As much of `fetch` as the client needs, on node:http.
 *
 * Problem: Node takes longer to load its own `fetch` than for all else that a command does. Design: one connection for each
 * request, which nothing keeps open. What is left out: redirects (the answer is told as it is, because a token is not for
 * another address), cookies and compression.
 */
export const httpFetch = (async (url: string, init: Init) =>
  new Answer(await answerTo(url, init), init)) as unknown as typeof fetch;

async function answerTo(url: string, { method, headers, body, signal }: Init): Promise<IncomingMessage> {
  const { request } = url.startsWith('https:') ? await import('node:https') : http;
  const bytes = typeof body === 'object' && 'arrayBuffer' in body ? await body.arrayBuffer() : body;
  return new Promise((resolve, reject) => {
    const options = {
      method,
      signal,
      agent: false,
      timeout: SILENCE_MS,
      headers: Object.fromEntries(headers),
    };
    const sent = request(url, options, resolve);
    sent.on('error', reject).on('timeout', () => sent.destroy(new Error('it was silent for five minutes')));
    // A server that refuses a request may answer before it has taken all of it: that its end cannot be sent is no failure.
    if (typeof bytes === 'object' && 'getReader' in bytes) pipeline(bytes, sent).catch(() => undefined);
    else sent.end(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes);
  });
}

/** What of a `Response` the client and the commands use. */
class Answer {
  readonly status: number;
  readonly statusText: string;
  readonly ok: boolean;
  private readonly signal: AbortSignal | undefined;
  readonly headers = { get: (name: string) => this.message.headers[name.toLowerCase()] ?? null };

  constructor(
    private readonly message: IncomingMessage,
    { method, signal }: Init,
  ) {
    this.signal = signal;
    this.status = message.statusCode!;
    this.statusText = message.statusMessage!;
    this.ok = this.status >= 200 && this.status < 300;
    // Where there is no body nobody reads one, and only then does the connection end.
    if (this.status === 204 || this.status === 304 || method === 'HEAD') message.resume();
  }

  get body(): ReadableStream {
    return ReadableStream.from(this.chunks());
  }

  async arrayBuffer(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.chunks()) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  async text(): Promise<string> {
    return (await this.arrayBuffer()).toString();
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text()) as unknown;
  }

  private async *chunks(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of this.message) yield chunk as Buffer;
    } catch (cause) {
      this.signal?.throwIfAborted();
      throw new TypeError('the connection ended within the answer', { cause });
    }
  }
}
