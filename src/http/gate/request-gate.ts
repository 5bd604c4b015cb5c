import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { answerError, answerOptions } from '../answer/answer.js';
import { closeAfter } from '../answer/lingering-close.js';
import type { AllowedHosts } from './allowed-hosts.js';
import { printable } from '../request/printable.js';
import { isSafe } from '../request/safe.js';
import { foreignOrigin } from './cross-site.js';
import { METHODS, type Cors } from './cors.js';

declare module 'node:http' {
  interface IncomingMessage {
    /** Whether the request names a host that is not ours, and was let in all the same. */
    isMisdirected?: true;
  }
}

const MAX_HEADERS = 200;
/** The methods with a route that reads a body; the body of any other is for nobody. */
const READ_BODIES: ReadonlySet<string> = new Set(['PUT', 'PATCH', 'POST']);

/** Paths that have nothing of the database. */
export const WITHOUT_DATA = /^\/(?:docs|console|health|openapi\.json|problems|favicon\.ico)(?=[/?]|$)/;
/** Asked by load balancers and supervisors, who name any host, also while the server stops. */
const OF_HEALTH = /^\/health\//;

/** What the guards need of the raw headers. `request.headers` is not touched: building it costs more than this. */
interface HeaderSummary {
  host: string | undefined;
  hosts: number;
  encoding: string | undefined;
  transfer: string | undefined;
  hasBody: boolean;
  upgrade: boolean;
  serviceWorker: boolean;
}

/**
 * The guards that every request passes before it is routed and before anything of it is parsed: the server is not
 * stopping, the version is ours, headers are whole, the host is ours, the body is not encoded, no other site set off a write,
 * and no expectation is made that is not met.
 *
 * What is admitted has its URL in one spelling: a path, and an entry's key in it.
 */
export class RequestGate {
  private draining = false;
  private refused: DatabaseError | undefined;

  constructor(
    private readonly hosts: AllowedHosts,
    private readonly cors: Cors,
    /** Returns the one spelling of a request's URL. @throws DatabaseError */
    private readonly canonical: (request: IncomingMessage) => string,
  ) {}

  /** Refuses every request from now on, but for health; those inside finish. */
  drain(): void {
    this.draining = true;
  }

  /** Refuses requests for data with `error` from now on; without one it admits them again. */
  refuse(error: DatabaseError | undefined): void {
    this.refused = error;
  }

  /** Returns whether the request may go on; if not, it has been answered. */
  admits(request: IncomingMessage, response: ServerResponse): boolean {
    const summary = summarize(request.rawHeaders);
    if (request.httpVersionMinor === 0) limitToOldVersion(request, response, summary);
    const isAllowedOrigin = this.cors.allows(request, response);
    const error = this.refusal(request, summary, isAllowedOrigin) ?? this.respell(request);
    // Nobody reads a body here, so that it ends with the connection.
    if (summary.hasBody && !READ_BODIES.has(request.method!)) closeAfter(request, response);
    // Node drops what has come with such a request, so that the rest would be taken for what it is not.
    if (summary.upgrade) response.shouldKeepAlive = false;
    if (this.draining) response.shouldKeepAlive = false;
    if (!error && request.url !== SERVER) return true;
    if (error) answerError(response, error);
    else answerOptions(response, METHODS.join(', '));
    return false;
  }

  private refusal(
    request: IncomingMessage,
    summary: HeaderSummary,
    isAllowedOrigin: boolean,
  ): DatabaseError | undefined {
    if (this.draining && !OF_HEALTH.test(request.url!)) {
      const detail = 'The server is shutting down. Nothing was applied; repeat the request.';
      return new DatabaseError('stopping', detail);
    }
    if (request.httpVersionMajor !== 1) return unsupportedVersion();
    if (request.rawHeaders.length > MAX_HEADERS * 2) {
      const detail = `A request may have at most ${MAX_HEADERS} headers.`;
      return new DatabaseError('headers-too-large', detail, { limit: MAX_HEADERS });
    }
    return (
      this.hostRefusal(request, summary) ??
      (this.refused && !WITHOUT_DATA.test(request.url!) ? this.refused : undefined) ??
      transferRefusal(summary.transfer) ??
      encodingRefusal(summary.encoding) ??
      workerRefusal(request, summary) ??
      (isAllowedOrigin ? undefined : originRefusal(request)) ??
      expectationRefusal(request)
    );
  }

  private respell(request: IncomingMessage): DatabaseError | undefined {
    try {
      request.url = this.canonical(request);
      return undefined;
    } catch (error) {
      return error as DatabaseError;
    }
  }

  private hostRefusal(request: IncomingMessage, { host, hosts }: HeaderSummary): DatabaseError | undefined {
    if (hosts > 1)
      return new DatabaseError('malformed-request', 'A request may have one Host header, not several.');
    const target = hasAuthority(request) ? takeAuthority(request) : undefined;
    if (target === null) {
      const detail = 'The request target must be a path such as `/get?key=a`, or an http URL.';
      return new DatabaseError('malformed-request', detail);
    }
    const authority = target ?? host;
    // A client that knows no Host header, such as the health check of a load balancer, does not name another server.
    if (authority === undefined && request.httpVersionMinor === 0) return undefined;
    if (authority === undefined)
      return new DatabaseError('malformed-request', 'A request must have a Host header.');
    if (this.hosts.allows(authority)) return undefined;
    if (!OF_HEALTH.test(request.url!)) return unknownHost(authority);
    request.isMisdirected = true;
    return undefined;
  }
}

function unknownHost(authority: string): DatabaseError {
  return new DatabaseError(
    'misdirected-host',
    `This server does not answer to ${printable(authority)}, the host that the request names. Use an IP address or ` +
      'localhost, or add the name to ALLOWED_HOSTS.',
    { setting: 'ALLOWED_HOSTS' },
  );
}

/**
 * HTTP/1.0 has no chunks: none are sent, whatever the client says it takes, and where a request that came in chunks ends is
 * not certain, so the connection ends with it (RFC 9112, 6.1). It also ends with a version that is not ours.
 */
function limitToOldVersion(
  { httpVersionMajor }: IncomingMessage,
  response: ServerResponse,
  { transfer }: HeaderSummary,
): void {
  response.useChunkedEncodingByDefault = false;
  if (transfer !== undefined || httpVersionMajor !== 1) response.shouldKeepAlive = false;
}

/** Returns the refusal of a request whose version is not HTTP/1.0 or HTTP/1.1. */
export function unsupportedVersion(): DatabaseError {
  return new DatabaseError('unsupported-version', 'This server speaks HTTP/1.1 and HTTP/1.0.');
}

const SLASH = 47;
/** The target of an OPTIONS that asks about the whole server (RFC 9110, 9.3.7). */
const SERVER = '*';

function hasAuthority({ url, method }: IncomingMessage): boolean {
  return url!.charCodeAt(0) !== SLASH && !(url === SERVER && method === 'OPTIONS');
}

function summarize(raw: readonly string[]): HeaderSummary {
  const summary: HeaderSummary = {
    host: undefined,
    hosts: 0,
    encoding: undefined,
    transfer: undefined,
    hasBody: false,
    upgrade: false,
    serviceWorker: false,
  };
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    // The length tells almost every other header apart without a comparison of text.
    switch (name.length) {
      case 4:
        if ((name === 'Host' || name.toLowerCase() === 'host') && summary.hosts++ === 0)
          summary.host = raw[i + 1];
        break;
      case 7:
        if (name.toLowerCase() === 'upgrade') summary.upgrade = true;
        break;
      case 14:
        if (name.toLowerCase() === 'content-length' && raw[i + 1] !== '0') summary.hasBody = true;
        else if (name.toLowerCase() === 'service-worker') summary.serviceWorker = true;
        break;
      case 16:
        if (name.toLowerCase() === 'content-encoding')
          summary.encoding = `${summary.encoding ?? ''}${raw[i + 1]}`;
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') {
          summary.hasBody = true;
          summary.transfer = `${summary.transfer ?? ''}${raw[i + 1]}`;
        }
        break;
    }
  }
  return summary;
}

/**
 * Turns an absolute-form target (RFC 9112, 3.2.2) into a path and returns its authority, which wins over `Host`; null if
 * the target is neither. The rest of the target stays as it was sent.
 */
function takeAuthority(request: IncomingMessage): string | null {
  const match = /^https?:\/\/([^/?#]*)(.*)$/is.exec(request.url!);
  if (!match) return null;
  const rest = match[2]!;
  request.url = rest.startsWith('/') ? rest : `/${rest}`;
  request.headers.host = match[1]!;
  return match[1]!;
}

/** Node hands on a request of another coding before it finds that it cannot tell where the body ends. */
function transferRefusal(transfer: string | undefined): DatabaseError | undefined {
  if (transfer === undefined || transfer.toLowerCase() === 'chunked') return undefined;
  return new DatabaseError('malformed-request', 'The only Transfer-Encoding that is taken is `chunked`.');
}

function encodingRefusal(encoding: string | undefined): DatabaseError | undefined {
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return undefined;
  return new DatabaseError(
    'unsupported-encoding',
    'Bodies are taken as they are: send them without Content-Encoding.',
  );
}

/** HTTP/1.0 has no expectations, and its header is ignored (RFC 9110, 10.1.1). */
function expectationRefusal({ headers, httpVersionMinor }: IncomingMessage): DatabaseError | undefined {
  const { expect } = headers;
  if (expect === undefined || httpVersionMinor === 0 || expect.toLowerCase() === '100-continue')
    return undefined;
  return new DatabaseError(
    'expectation-failed',
    'The only expectation that is met is `Expect: 100-continue`.',
  );
}

/** A stored script must never be able to answer for this origin. */
function workerRefusal(
  request: IncomingMessage,
  { serviceWorker }: HeaderSummary,
): DatabaseError | undefined {
  if (!serviceWorker || !request.url!.startsWith('/kv')) return undefined;
  return new DatabaseError('service-worker', 'A stored value may not become a service worker.');
}

function originRefusal(request: IncomingMessage): DatabaseError | undefined {
  if (isSafe(request)) return undefined;
  const why = foreignOrigin(request);
  if (why === undefined) return undefined;
  return new DatabaseError(
    'cross-site',
    `The request would write, but ${why}. Nothing was written. To do it on purpose, type the URL into the address bar ` +
      'or use a program such as curl. To let pages of another origin write, add it to CORS_ORIGINS. A proxy has to pass ' +
      'Host on as it comes.',
    { setting: 'CORS_ORIGINS' },
  );
}
