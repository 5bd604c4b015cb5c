import net from 'node:net';
import { HANG_MS } from './eventually.js';

/** One answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case; a name that came twice keeps both values, so that a test sees it. */
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** What a raw exchange came to. */
export interface Exchange {
  readonly answers: RawAnswer[];
  /** Bytes behind the last whole answer. */
  readonly rest: string;
  /** Whether the server ended the connection; otherwise `enough` did. */
  readonly closed: boolean;
}

export interface ExchangeOptions {
  /** Stops listening when it says so; by default the exchange goes on until the server closes. */
  readonly enough?: (answers: RawAnswer[]) => boolean;
  /** Methods of the requests in order, where not all are GET: an answer to HEAD has no body. */
  readonly methods?: readonly string[];
  /** Goes on sending this again and again until the connection ends. */
  readonly endless?: string | Buffer;
  /** Ends the client's side of the connection after the bytes, and reads on. */
  readonly halfClose?: boolean;
}

/** Sends bytes to the server on `port` and collects what comes back. Never resolves by silence: that is an error. */
export function exchange(
  port: number,
  bytes: string | Buffer,
  options: ExchangeOptions = {},
): Promise<Exchange> {
  const { enough, methods = [], endless, halfClose } = options;
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    let pump: NodeJS.Timeout | undefined;
    const received = () => parseAnswers(Buffer.concat(chunks), methods);
    const settle = (closed: boolean) => {
      clearTimeout(timer);
      clearInterval(pump);
      socket.destroy();
      resolve({ ...received(), closed });
    };
    const timer = setTimeout(() => {
      clearInterval(pump);
      socket.destroy();
      reject(new Error(`no end to ${JSON.stringify(bytes.toString('latin1').slice(0, 120))}`));
    }, HANG_MS);
    socket.on('connect', () => {
      socket.write(toBytes(bytes));
      if (halfClose) socket.end();
      if (endless !== undefined) pump = setInterval(() => socket.write(toBytes(endless)), 20);
    });
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (enough?.(received().answers)) settle(false);
    });
    // A reset after the answer is an end like any other; what has arrived is what counts.
    socket.on('error', () => settle(true));
    socket.on('close', () => settle(true));
  });
}

/** Request lines and headers joined and ended as HTTP wants them. */
export function lines(...text: string[]): string {
  return `${text.join('\r\n')}\r\n\r\n`;
}

function toBytes(bytes: string | Buffer): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
}

export function parseAnswers(
  data: Buffer,
  methods: readonly string[] = [],
): { answers: RawAnswer[]; rest: string } {
  const answers: RawAnswer[] = [];
  let at = 0;
  for (;;) {
    const end = data.indexOf('\r\n\r\n', at);
    if (end < 0) break;
    const head = data.toString('latin1', at, end);
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1];
    if (status === undefined) break;
    const headers = headersOf(head);
    const bodiless = methods[answers.length] === 'HEAD' || status === '204' || status.startsWith('1');
    const body = bodiless ? { text: '', next: end + 4 } : bodyOf(data, end + 4, headers);
    if (!body) break;
    at = body.next;
    if (!status.startsWith('1')) answers.push({ status: Number(status), headers, body: body.text });
  }
  return { answers, rest: data.toString('latin1', at) };
}

function headersOf(head: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of head.split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

function bodyOf(
  data: Buffer,
  start: number,
  headers: Record<string, string>,
): { text: string; next: number } | undefined {
  if (headers['transfer-encoding'] === 'chunked') return chunkedBody(data, start);
  const length = Number(headers['content-length'] ?? 0);
  if (data.length < start + length) return undefined;
  return { text: data.toString('utf8', start, start + length), next: start + length };
}

function chunkedBody(data: Buffer, start: number): { text: string; next: number } | undefined {
  const parts: Buffer[] = [];
  let at = start;
  for (;;) {
    const end = data.indexOf('\r\n', at);
    if (end < 0) return undefined;
    const size = Number.parseInt(data.toString('latin1', at, end), 16);
    if (data.length < end + 2 + size + 2) return undefined;
    parts.push(data.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
    if (size === 0) return { text: Buffer.concat(parts).toString(), next: at };
  }
}
