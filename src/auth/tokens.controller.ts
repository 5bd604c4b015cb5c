import { Controller, Delete, Get, Post, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppConfig } from '../config/app-config.js';
import { DatabaseError } from '../errors.js';
import { answerEmpty, answerUncached } from '../http/answer/answer.js';
import { Documented } from '../http/answer/documented.js';
import { BodyReader } from '../http/request/body-reader.js';
import { contentTypeOf, essenceOf, JSON_TYPE } from '../http/request/media-type.js';
import { refuseIdempotencyKey } from '../http/request/idempotency-key.js';
import { Parameters } from '../http/request/parameters.js';
import { refuseConditions } from '../http/request/preconditions.js';
import { readJson } from '../http/request/strict-json.js';
import { inTurns } from '../http/request/turns.js';
import type { Access } from './access.js';
import { Authenticator } from './authenticator.js';
import { describeAccess, describeToken } from './token-json.js';
import { readGrace, readTokenRequest } from './token-request.js';
import { Tokens, type Issued } from './tokens.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./tokens.openapi.js');

const LIMIT = { bytes: 64 * 1024, what: 'A request for a token' };
const TYPES = [JSON_TYPE, 'application/x-www-form-urlencoded', 'text/plain'];
const PATH = /^\/tokens\/([^/?]+)(?:\/rotate)?(?:\?|$)/;
const MAX_ITEMS = 1000;
const DEFAULT_ITEMS = 100;

/** `/tokens`: who may do what. */
@Controller('tokens')
export class TokensController {
  constructor(
    private readonly tokens: Tokens,
    private readonly authenticator: Authenticator,
    private readonly bodies: BodyReader,
    private readonly config: AppConfig,
  ) {}

  /** Makes a token. */
  @Post()
  @Documented(docs, 'DescribeCreate')
  async create(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    takeNothingElse(request);
    refuseIdempotencyKey(request, 'A token is shown once, and its answer is not kept.');
    const asked = readTokenRequest(await this.readBody(request, response));
    const by = this.accessOf(request);
    const issued = await this.tokens.create(by, asked);
    const location = `${this.config.publicUrl}/tokens/${issued.record.id}`;
    answerIssued(response, 201, by, issued, ['Location', location]);
  }

  /** Lists tokens. */
  @Get()
  @Documented(docs, 'DescribeList')
  async list(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const parameters = new Parameters(request.url!, ['after', 'limit']);
    const limit = parameters.number('limit', 1, MAX_ITEMS, DEFAULT_ITEMS);
    const by = this.accessOf(request);
    const { items, next } = await this.tokens.list(by, parameters.get('after') ?? '', limit);
    const uses = await this.tokens.uses();
    const described = items.map((record) => describeToken(record, by, uses.get(record.id)));
    const link = next === undefined ? [] : ['Link', this.linkTo(next, limit)];
    answerUncached(response, 200, `${JSON.stringify({ items: described, next: next ?? null })}\n`, link);
  }

  /** Tells a token about itself. */
  @Get('self')
  @Documented(docs, 'DescribeSelf')
  async self(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    takeNothingElse(request);
    answerUncached(response, 200, `${JSON.stringify(describeAccess(this.accessOf(request)))}\n`);
  }

  /** Describes a token. */
  @Get('{*id}')
  @Documented(docs, 'DescribeGet')
  async get(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    takeNothingElse(request);
    const by = this.accessOf(request);
    const record = await this.tokens.get(by, idOf(request));
    const uses = await this.tokens.uses();
    answerUncached(response, 200, `${JSON.stringify(describeToken(record, by, uses.get(record.id)))}\n`);
  }

  /** Gives a token a new secret. */
  @Post('{*id}/rotate')
  @Documented(docs, 'DescribeRotate')
  async rotate(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    takeNothingElse(request);
    refuseIdempotencyKey(request, 'A secret is shown once, and its answer is not kept.');
    const grace = readGrace(await this.readBody(request, response, {}));
    const by = this.accessOf(request);
    answerIssued(response, 200, by, await this.tokens.rotate(by, idOf(request), grace));
  }

  /** Ends a token, and every token that was made with it. */
  @Delete('{*id}')
  @Documented(docs, 'DescribeRevoke')
  async revoke(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    takeNothingElse(request);
    await this.tokens.revoke(this.accessOf(request), idOf(request));
    answerEmpty(response, 204);
  }

  private async readBody(
    request: IncomingMessage,
    response: ServerResponse,
    ifEmpty?: object,
  ): Promise<unknown> {
    if (!TYPES.includes(essenceOf(contentTypeOf(request) ?? JSON_TYPE)))
      throw new DatabaseError('unsupported-type', 'A request for a token must be sent as application/json.');
    const body = await this.bodies.read(request, response, LIMIT);
    if (body.length === 0 && ifEmpty) return ifEmpty;
    await inTurns(readJson(body, 'The request'));
    return JSON.parse(body.toString()) as unknown;
  }

  private linkTo(after: string, limit: number): string {
    return `<${this.config.publicUrl}/tokens?after=${after}&limit=${limit}>; rel="next"`;
  }

  private accessOf({ access }: IncomingMessage): Access {
    return access ?? this.authenticator.open;
  }
}

/** @throws DatabaseError `invalid-parameter`, `invalid-condition` */
function takeNothingElse(request: IncomingMessage): void {
  new Parameters(request.url!, []);
  refuseConditions(request, 'Tokens have no tags.');
}

/** Returns the id in the path, which need not be that of a token. @throws DatabaseError `route-not-found` */
function idOf(request: IncomingMessage): string {
  const id = PATH.exec(request.url!)?.[1];
  if (id === undefined) throw new DatabaseError('route-not-found', "This URL doesn't exist!");
  return id;
}

/** The answer has the token, which is shown this once and kept by nobody. */
function answerIssued(
  response: ServerResponse,
  status: number,
  by: Access,
  { record, text }: Issued,
  headers: readonly string[] = [],
): void {
  const json = JSON.stringify({ token: text, ...describeToken(record, by, undefined) });
  answerUncached(response, status, `${json}\n`, headers);
}
