import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { answerError, answerOptions, closeAfter } from '../answer/answer.js';
import type { AllowedHosts } from './allowed-hosts.js';
import { hasSafeMethod, isSafe } from '../request/safe.js';
import { foreignOrigin } from './cross-site.js';
import { METHODS, type Cors } from './cors.js';

const MAX_HEADERS = 200;

/** What the guards need of the raw headers. `request.headers` is not touched: building it costs more than this. */
interface HeaderSummary {
  host: string | undefined;
  hosts: number;
  encoding: string | undefined;
  transfer: string | undefined;
  hasBody: boolean;
  serviceWorker: boolean;
}

/**
 * The guards that every request passes before it is routed and before anything of it is parsed: the server is not
 * stopping, headers are whole, the host is ours, the body is not encoded, and no other site set off a write.
 *
 * What is admitted has its URL in one spelling: a path, and an entry's key in it.
 */
export class RequestGate {
  private draining = false;

  constructor(
    private readonly hosts: AllowedHosts,
    private readonly cors: Cors,
    /** Returns the one spelling of a request's URL. @throws DatabaseError */
    private readonly canonical: (request: IncomingMessage) => string,
  ) {}

  /** Refuses every request from now on; those inside finish. */
  drain(): void {
    this.draining = true;
  }

  /** Returns whether the request may go on; if not, it has been answered. */
  admits(request: IncomingMessage, response: ServerResponse): boolean {
    const summary = summarize(request.rawHeaders);
    const isAllowedOrigin = this.cors.allows(request, response);
    const error = this.refusal(request, summary, isAllowedOrigin) ?? this.respell(request);
    // Nobody reads a body here, and one that is refused is not read either: it ends with the connection.
    if (summary.hasBody && (error || hasSafeMethod(request))) closeAfter(request, response);
    if (!error && request.url !== SERVER) return true;
    if (this.draining) response.shouldKeepAlive = false;
    if (error) answerError(response, error);
    else answerOptions(response, METHODS.join(', '));
    return false;
  }

  private refusal(
    request: IncomingMessage,
    summary: HeaderSummary,
    isAllowedOrigin: boolean,
  ): DatabaseError | undefined {
    if (this.draining) {
      const detail = 'The server is shutting down. Nothing was applied; repeat the request.';
      return new DatabaseError('stopping', detail);
    }
    if (request.rawHeaders.length > MAX_HEADERS * 2) {
      const detail = `A request may have at most ${MAX_HEADERS} headers.`;
      return new DatabaseError('headers-too-large', detail, { limit: MAX_HEADERS });
    }
    return (
      this.hostRefusal(request, summary) ??
      transferRefusal(summary.transfer) ??
      encodingRefusal(summary.encoding) ??
      workerRefusal(request, summary) ??
      (isAllowedOrigin ? undefined : originRefusal(request))
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
    if (this.hosts.allows(target ?? host ?? '')) return undefined;
    return new DatabaseError(
      'misdirected-host',
      'This server does not answer to the host name of the request. Use an IP address or localhost, or add the name to ' +
        'ALLOWED_HOSTS.',
      { setting: 'ALLOWED_HOSTS' },
    );
  }
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
      'or use a program such as curl.',
  );
}
