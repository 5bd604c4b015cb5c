import { Injectable, Logger } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AppConfig, shareOf } from '../config/app-config.js';
import { DatabaseError, internalError } from '../errors.js';
import { answerError } from '../http/answer/answer.js';
import { overLimit, rateLimitFields, type Allowance } from '../http/answer/rate-limit.js';
import { WITHOUT_DATA } from '../http/gate/request-gate.js';
import { WindowLimit } from '../http/gate/window-limit.js';
import { breakBody } from '../http/request/body-reader.js';
import { ClientAddresses, networkOf } from '../http/request/client-address.js';
import { isSafe, writesOnGet } from '../http/request/safe.js';
import type { ServingSocket } from '../http/server/serving-socket.js';
import { Counter, meter } from '../meters.js';
import { forbidden, type Access } from './access.js';
import { Authenticator, invalidToken } from './authenticator.js';
import { readCredentials, type Credentials } from './credentials.js';
import { rightFor } from './rights.js';

/** How many wrong tokens an address may present in a minute. */
const MOST_FAILURES = 20;

const failures = meter(new Counter('auth_failures_total', 'Requests with a wrong token.'));

/** What a connection presented last. */
interface Presented {
  readonly header: string;
  readonly credentials: Credentials;
  access: Access;
}

/**
 * Admits requests that may do what they ask for, after the gate and before any route.
 *
 * A connection mostly presents the same token again, so that what it came to is kept with the connection, and a comparison of
 * two texts of the same client is all that a request costs. What a token may no longer do is cut off where it is under way.
 */
@Injectable()
export class AccessGuard {
  private readonly logger = new Logger('Auth');
  /** What each connection presented; undefined of one that came when no token was needed. */
  private readonly presented = new Map<Socket, Presented | undefined>();
  private readonly failures = new WindowLimit();
  private readonly uses = new WindowLimit();

  constructor(
    private readonly authenticator: Authenticator,
    private readonly addresses: ClientAddresses,
    private readonly config: AppConfig,
  ) {
    authenticator.onChange(() => this.cutEnded());
  }

  /** Returns whether the request may go on; if not, it has been answered. */
  admits(request: IncomingMessage, response: ServerResponse): boolean | Promise<boolean> {
    const { authenticator } = this;
    if (!authenticator.needsToken) {
      if (!this.presented.has(request.socket)) this.keep(request.socket, undefined);
      return true;
    }
    if (needsNone(request)) return true;
    const header = authorizationOf(request);
    const known = this.presented.get(request.socket);
    if (known && known.header === header && authenticator.isCurrent(known.access))
      return this.allow(request, response, known);
    if (header === undefined) return this.refuse(request, response, tokenNeeded());
    return this.present(request, response, header);
  }

  /**
   * Returns what a request that needs no token may do all the same. Undefined if it has none, or none that is taken; if
   * nobody needs one, but the request names a host of somebody else, as the pages of that host would.
   */
  async accessOf(request: IncomingMessage): Promise<Access | undefined> {
    if (!this.authenticator.needsToken) return request.isMisdirected ? undefined : this.authenticator.open;
    const header = authorizationOf(request);
    if (header === undefined) return undefined;
    try {
      return (await this.identify(request, header)).access;
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      if (error.code === 'invalid-token') this.failed(request, error);
      return undefined;
    }
  }

  private async present(
    request: IncomingMessage,
    response: ServerResponse,
    header: string,
  ): Promise<boolean> {
    try {
      const presented = await this.identify(request, header);
      this.keep(request.socket, presented);
      return this.allow(request, response, presented);
    } catch (error) {
      return this.refuse(request, response, this.refusalOf(request, error));
    }
  }

  private refusalOf(request: IncomingMessage, error: unknown): DatabaseError {
    if (error instanceof DatabaseError)
      return error.code === 'invalid-token' ? this.failed(request, error) : error;
    this.logger.error(error instanceof Error ? error.stack : String(error));
    return internalError();
  }

  /** @throws DatabaseError `invalid-token`, `too-many-requests` */
  private async identify(request: IncomingMessage, header: string): Promise<Presented> {
    const credentials = readCredentials(header);
    if (typeof credentials === 'string') throw invalidToken(credentials);
    // Only a token of a form of its own can be guessed.
    if (!this.authenticator.isOurs(credentials.token)) this.checkFailures(request);
    return { header, credentials, access: await this.authenticator.resolve(credentials.token) };
  }

  private keep(socket: Socket, presented: Presented | undefined): void {
    if (socket.destroyed) return;
    if (!this.presented.has(socket)) socket.once('close', () => this.presented.delete(socket));
    this.presented.set(socket, presented);
  }

  private allow(
    request: IncomingMessage,
    response: ServerResponse,
    { access, credentials }: Presented,
  ): boolean {
    request.access = access;
    this.authenticator.noteUse(access);
    const right = rightFor(request);
    if (right !== undefined && !access.may(right))
      return this.refuse(request, response, forbidden(access, right));
    if (credentials.scheme === 'basic' && mayBeAmbient(request))
      return this.refuse(request, response, needsBearer());
    if (access.limited.length === 0) return true;
    const refusal = this.count(request, response, access);
    return refusal === undefined || this.refuse(request, response, refusal);
  }

  /** Counts a request for its token and those that it was made with. Each process has its share of a limit. */
  private count(
    request: IncomingMessage,
    response: ServerResponse,
    { limited }: Access,
  ): DatabaseError | undefined {
    const policies = isSafe(request) ? (['requests'] as const) : (['requests', 'writes'] as const);
    for (const { id, limits } of limited) {
      for (const policy of policies) {
        const limit = limits[policy];
        if (limit === undefined) continue;
        const allowance = this.uses.take(`${id} ${policy}`, shareOf(limit, this.config));
        if (!allowance.allowed) return tooMany(policy, allowance);
        addFields(response, rateLimitFields(policy, allowance));
      }
    }
    return undefined;
  }

  private refuse(request: IncomingMessage, response: ServerResponse, error: DatabaseError): false {
    answerError(response, error, undefined, challenge(request, error));
    return false;
  }

  /** Counts a wrong token. Returns the refusal of it, which is another one when there were too many. */
  private failed(request: IncomingMessage, error: DatabaseError): DatabaseError {
    failures.value++;
    const allowance = this.failures.take(networkOf(this.addresses.of(request)), MOST_FAILURES);
    return allowance.allowed ? error : tooManyFailures(allowance);
  }

  private checkFailures(request: IncomingMessage): void {
    const allowance = this.failures.look(networkOf(this.addresses.of(request)), MOST_FAILURES);
    if (!allowance.allowed) throw tooManyFailures(allowance);
  }

  /** Ends what is under way with tokens that have ended, and from the first token on what is without one. */
  private cutEnded(): void {
    for (const [socket, presented] of this.presented) {
      const response = (socket as ServingSocket)._httpMessage;
      if (!response) continue;
      const { access } = response.req;
      if (!presented && this.authenticator.needsToken && isOfData(response.req)) cut(response, tokenNeeded());
      if (!presented || !access || this.authenticator.isCurrent(access)) continue;
      this.renew(presented, response).catch((error: unknown) => {
        if (error instanceof DatabaseError && error.code === 'invalid-token') cut(response, error);
      });
    }
  }

  private async renew(presented: Presented, { req }: ServerResponse): Promise<void> {
    presented.access = await this.authenticator.resolve(presented.credentials.token);
    req.access = presented.access;
  }
}

function needsNone({ method, url }: IncomingMessage): boolean {
  return method === 'OPTIONS' || WITHOUT_DATA.test(url!);
}

/** Whether a request reads or writes data. The one that makes the first token does not, and is to be answered. */
function isOfData(request: IncomingMessage): boolean {
  return !needsNone(request) && rightFor(request) !== 'admin';
}

/** Ends an answer under way. Whoever sends a body, or waits for news, is answered. */
function cut(response: ServerResponse, error: DatabaseError): void {
  const { req: request } = response;
  request.isCut = true;
  if (!request.complete) breakBody(request, error);
  else if (request.refuse) {
    const [name, ...values] = new Set(challenge(request, error));
    response.setHeader(name!, values);
    request.refuse(error);
  } else response.destroy();
}

/** Returns the Authorization header, several of which are one that nobody takes. `headers` would cost more than all this. */
function authorizationOf({ rawHeaders }: IncomingMessage): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === 13 && (name === 'Authorization' || name.toLowerCase() === 'authorization'))
      found = found === undefined ? rawHeaders[i + 1]! : `${found}, ${rawHeaders[i + 1]}`;
  }
  return found;
}

const LOCAL_HOST = /^(?:(?:[\w-]+\.)*localhost|127(?:\.\d+){3}|\[::1\])\.?(?::\d*)?$/i;

/**
 * Whether a browser may have sent the credentials by itself, because some page pointed at this URL. Browsers say where
 * a request comes from (Sec-Fetch-Site) only over TLS and to this machine; there the gate has refused it already.
 */
function mayBeAmbient({ url, headers, socket }: IncomingMessage): boolean {
  if (!writesOnGet(url!) || headers['sec-fetch-site'] !== undefined) return false;
  return !('encrypted' in socket) && !LOCAL_HOST.test(headers.host ?? '');
}

/** Returns the challenges of a 401 (RFC 6750, 3; RFC 7617). Pages get none that makes a browser ask its user. */
function challenge({ headers }: IncomingMessage, { code }: DatabaseError): readonly string[] {
  if (code !== 'unauthenticated' && code !== 'invalid-token') return [];
  const error = code === 'invalid-token' ? ', error="invalid_token"' : '';
  const bearer = ['WWW-Authenticate', `Bearer realm="pigeonhole"${error}`];
  const mode = headers['sec-fetch-mode'];
  if (mode !== undefined && mode !== 'navigate') return bearer;
  return [...bearer, 'WWW-Authenticate', 'Basic realm="pigeonhole", charset="UTF-8"'];
}

function addFields(response: ServerResponse, fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) {
    const before = response.getHeader(fields[i]!);
    response.setHeader(
      fields[i]!,
      before === undefined ? fields[i + 1]! : `${before as string}, ${fields[i + 1]}`,
    );
  }
}

function tokenNeeded(): DatabaseError {
  return new DatabaseError(
    'unauthenticated',
    'The server asks for a token: send `Authorization: Bearer <token>`, or the token as the password of Basic.',
  );
}

function needsBearer(): DatabaseError {
  return new DatabaseError(
    'cross-site',
    'Over plain http a browser sends a remembered password wherever a page points, so that `/set` takes ' +
      '`Authorization: Bearer <token>` only. Nothing was written.',
  );
}

function tooMany(policy: string, allowance: Allowance): DatabaseError {
  const detail = `The token allows ${allowance.limit} ${policy} a minute. Nothing was applied.`;
  return overLimit(policy, allowance, detail);
}

function tooManyFailures(allowance: Allowance): DatabaseError {
  const detail = `This address has presented ${MOST_FAILURES} wrong tokens within a minute.`;
  return overLimit('failed-tokens', allowance, detail);
}
