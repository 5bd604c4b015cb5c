import { Controller, Get, Head, Req, Res, UseFilters } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppConfig } from '../config/app-config.js';
import { answerJson, answerJsonPieces, startText, vary } from '../http/answer/answer.js';
import { Documented, Undocumented } from '../http/answer/documented.js';
import { writePaced } from '../http/answer/paced-writer.js';
import { countUnsent, sizeCheck } from '../http/answer/unsent-answers.js';
import type { Entry } from '../storage/entry.js';
import { hasIdempotencyKey } from '../http/request/idempotency-key.js';
import { Databases } from './databases.js';
import { PIECE_BYTES } from './entry-json.js';
import { gatherPieces } from './json-pieces.js';
import { MissingKeyFilter } from './missing-key.filter.js';
import { JSON_DOCUMENT } from '../http/request/accept.js';
import { memberAsJson, membersAsJson } from './original-json.js';
import { parseGetQuery, parseSetQuery } from './original-query.js';
import { bytesOf } from './transfer/exporter.js';
import { wantsEvents, WatchEndpoint, watchParameters } from './watch/watch.endpoint.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./kv.openapi.js');

/**
 * The original three routes. Handlers take the raw request and write the answer themselves: Nest's parameter pipes and
 * serializers would cost as much again as the read itself.
 */
@Controller()
@UseFilters(MissingKeyFilter)
export class KvController {
  /** Where the same is shown to people (RFC 8288). */
  private readonly forPeople: readonly string[];

  constructor(
    private readonly databases: Databases,
    private readonly watch: WatchEndpoint,
    { publicUrl }: AppConfig,
  ) {
    this.forPeople = ['Link', `<${publicUrl}/console>; rel="alternate"; type="text/html"`];
  }

  /** Stores one pair. */
  @Get('set')
  @Documented(docs, 'DescribeSet')
  async set(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const { key, value } = parseSetQuery(request.url!);
    const database = hasIdempotencyKey(request)
      ? await this.databases.once(request, response)
      : this.databases.of(request);
    const { created } = await database.set(key, value);
    answerJson(response, created ? 201 : 200, `{${JSON.stringify(key)}:${JSON.stringify(value)}}`);
  }

  /** Reads one key. */
  @Get('get')
  @Documented(docs, 'DescribeGet')
  get(@Req() request: IncomingMessage, @Res() response: ServerResponse): void | Promise<void> {
    const entry = this.databases.of(request).get(parseGetQuery(request.url!), sizeCheck(response));
    return entry instanceof Promise ? entry.then((found) => show(response, found)) : show(response, entry);
  }

  /** HEAD does not read the store. */
  @Head()
  @Undocumented()
  headAll(@Res() response: ServerResponse): void {
    this.start(response);
    response.end();
  }

  /** Shows the whole database. */
  @Get()
  @Documented(docs, 'DescribeAll')
  async showAll(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (wantsEvents(request, JSON_DOCUMENT)) {
      const since = watchParameters(request, []).get('since');
      return this.watch.stream(request, response, [{ prefix: '' }], since);
    }
    let before = '{';
    for await (const entries of this.databases.of(request).scan()) {
      if (before === '{') this.start(response);
      countUnsent(response, bytesOf(entries));
      for (const text of membersAsJson(entries)) {
        await writePaced(response, before + text);
        before = '';
      }
      before = ',';
    }
    if (before === '{') this.start(response);
    response.end(before === '{' ? '{}' : '}');
  }

  private start(response: ServerResponse): void {
    startText(response, 'application/json', [...vary(response), ...this.forPeople]);
  }
}

function show(response: ServerResponse, entry: Entry): void | Promise<void> {
  if (entry.size > PIECE_BYTES) return showLarge(response, entry);
  answerJson(response, 200, `{${memberAsJson(entry)}}`);
}

/**
 * In pieces: one text takes the memory of four, and holds up others while it is made. Value and text are in memory until
 * the text is made.
 */
async function showLarge(response: ServerResponse, entry: Entry): Promise<void> {
  countUnsent(response, 2 * entry.size);
  await answerJsonPieces(response, await gatherPieces(objectOf(entry)));
}

function* objectOf(entry: Entry): Generator<string> {
  yield '{';
  yield* membersAsJson([entry]);
  yield '}';
}
