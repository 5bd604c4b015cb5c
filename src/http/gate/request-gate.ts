import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { answerError, answerOptions, closeAfter } from '../answer/answer.js';
import { foreignOrigin } from './cross-site.js';
import { METHODS, type Cors } from './cors.js';
import type { AllowedHosts } from './allowed-hosts.js';

const MAX_HEADERS = 200;
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** What the first look at the raw headers finds. `request.headers` is not touched: building it costs more than this. */
interface Glance {
  host: string | undefined;
  hosts: number;
  encoding: string | undefined;
  transfer: string | undefined;
  hasBody: boolean;
  serviceWorker: boolean;
}

/**
 * The guards that every request passes before it is routed and before anything of it is parsed: not shutting down,
 * headers whole, host ours, body not encoded, and no write that another site set off.
 */
export class RequestGate {
  private draining = false;

  constructor(
    private readonly hosts: AllowedHosts,
    private readonly cors: Cors,
  ) {}

  /** From now on no request is taken any more; those inside finish. */
  drain(): void {
    this.draining = true;
  }

  /** Whether the request may go on; if not, it has been answered. */
  admits(request: IncomingMessage, response: ServerResponse): boolean {
    const glance = look(request.rawHeaders);
    const letIn = this.cors.letsIn(request, response);
    const error = this.refusal(request, glance, letIn);
    // Nobody reads a body here, and one that is refused is not read either: it ends with the connection.
    if (glance.hasBody && (error || SAFE.has(request.method!))) closeAfter(request, response);
    if (!error && request.url !== SERVER) return true;
    if (this.draining) response.shouldKeepAlive = false;
    if (error) answerError(response, error);
    else answerOptions(response, METHODS);
    return false;
  }

  private refusal(request: IncomingMessage, glance: Glance, letIn: boolean): DatabaseError | undefined {
    if (this.draining)
      return new DatabaseError(
        'stopping',
        'The server is shutting down. Nothing was applied; repeat the request.',
      );
    if (request.rawHeaders.length > MAX_HEADERS * 2) {
      return new DatabaseError('headers-too-large', `A request may have at most ${MAX_HEADERS} headers.`, {
        limit: MAX_HEADERS,
      });
    }
    return (
      this.hostRefusal(request, glance) ??
      transferRefusal(glance.transfer) ??
      encodingRefusal(glance.encoding) ??
      workerRefusal(request, glance) ??
      (letIn ? undefined : originRefusal(request))
    );
  }

  private hostRefusal(request: IncomingMessage, { host, hosts }: Glance): DatabaseError | undefined {
    if (hosts > 1)
      return new DatabaseError('malformed-request', 'A request may have one Host header, not several.');
    const target = hasAuthority(request) ? takeAuthority(request) : undefined;
    if (target === null) {
      return new DatabaseError(
        'malformed-request',
        'The request target must be a path such as `/get?key=a`, or an http URL.',
      );
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
/** The target of an OPTIONS that is about no path but the whole server (RFC 9110, 9.3.7). */
const SERVER = '*';

function hasAuthority({ url, method }: IncomingMessage): boolean {
  return url!.charCodeAt(0) !== SLASH && !(url === SERVER && method === 'OPTIONS');
}

function look(raw: readonly string[]): Glance {
  const glance: Glance = {
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
        if ((name === 'Host' || name.toLowerCase() === 'host') && glance.hosts++ === 0)
          glance.host = raw[i + 1];
        break;
      case 14:
        if (name.toLowerCase() === 'content-length' && raw[i + 1] !== '0') glance.hasBody = true;
        else if (name.toLowerCase() === 'service-worker') glance.serviceWorker = true;
        break;
      case 16:
        if (name.toLowerCase() === 'content-encoding')
          glance.encoding = `${glance.encoding ?? ''}${raw[i + 1]}`;
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') {
          glance.hasBody = true;
          glance.transfer = `${glance.transfer ?? ''}${raw[i + 1]}`;
        }
        break;
    }
  }
  return glance;
}

/**
 * Turns an absolute-form target (RFC 9112, 3.2.2) into a path and answers its authority, which wins over `Host`; null if
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
function workerRefusal(request: IncomingMessage, { serviceWorker }: Glance): DatabaseError | undefined {
  if (!serviceWorker || !request.url!.startsWith('/kv')) return undefined;
  return new DatabaseError('service-worker', 'A stored value may not become a service worker.');
}

function originRefusal(request: IncomingMessage): DatabaseError | undefined {
  if (SAFE.has(request.method!) && !writesOnGet(request.url!)) return undefined;
  const why = foreignOrigin(request);
  if (why === undefined) return undefined;
  return new DatabaseError(
    'cross-site',
    `The request would write, but ${why}. Nothing was written. To do it on purpose, type the URL into the address bar ` +
      'or use a program such as curl.',
  );
}

/** `/set` is the one route that changes state on GET. */
function writesOnGet(url: string): boolean {
  // Express takes what follows `#` for no part of the path either.
  return url.startsWith('/set') && (url.length === 4 || url[4] === '?' || url[4] === '#');
}
