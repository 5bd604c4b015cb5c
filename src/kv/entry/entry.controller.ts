import { Controller, Delete, Get, Patch, Put, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { requireRight } from '../../auth/access.js';
import { AppConfig } from '../../config/app-config.js';
import { DatabaseError, MissingKeyError } from '../../errors.js';
import { answerEmpty, hasBody } from '../../http/answer/answer.js';
import { sizeCheck } from '../../http/answer/unsent-answers.js';
import { Documented } from '../../http/answer/documented.js';
import { ANY_TYPE } from '../../http/request/accept.js';
import { BodyReader } from '../../http/request/body-reader.js';
import { hasIdempotencyKey } from '../../http/request/idempotency-key.js';
import { contentTypeOf, essenceOf, isJson, MERGE_PATCH, storedType } from '../../http/request/media-type.js';
import { parseInt64, Parameters } from '../../http/request/parameters.js';
import { conditionOf, writeConditionOf } from '../../http/request/preconditions.js';
import { readJson } from '../../http/request/strict-json.js';
import { inTurns } from '../../http/request/turns.js';
import { evaluate, type Condition } from '../../storage/condition.js';
import { TEXT, type Entry, type EntryHeader } from '../../storage/entry.js';
import type { Expiry } from '../../storage/operation.js';
import type { DatabaseService } from '../database.service.js';
import { Databases } from '../databases.js';
import { assertAhead, EXPIRY_PARAMETERS, parseExpiry } from '../expiry.js';
import { checkKey, keyOfPath } from '../key.js';
import { acceptDatetimeOf } from '../past/moment-name.js';
import {
  WATCH_PARAMETER,
  waitOf,
  wantsEvents,
  WatchEndpoint,
  watchParameters,
} from '../watch/watch.endpoint.js';
import { answerDescription, answerEntry, answerHead, answerNewValue } from './entry-answer.js';
import { applyPatch, checkEditable } from './merge-patch.js';
import { PastEndpoint } from './past.endpoint.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./entry.openapi.js');

const ASKS_FOR_HISTORY = /[?&]history=true(?:&|$)/;
const HISTORY_PARAMETERS = [WATCH_PARAMETER, 'history', 'limit', 'after', 'values'];
const READ_PARAMETERS = [WATCH_PARAMETER, 'history', 'at'];
const NOTHING = { value: Buffer.alloc(0), type: TEXT };
const PUT_PARAMETERS = [...EXPIRY_PARAMETERS, 'from'];

/**
 * `/kv/{key}`: one entry. The key is everything after `/kv/`, slashes included. `/kv?key={key}` arrives here too, in this
 * spelling (key.ts).
 */
@Controller('kv/{*key}')
export class EntryController {
  constructor(
    private readonly databases: Databases,
    private readonly bodies: BodyReader,
    private readonly watch: WatchEndpoint,
    private readonly past: PastEndpoint,
    private readonly config: AppConfig,
  ) {}

  /** Reads one entry. */
  @Get()
  @Documented(docs, 'DescribeGet')
  get(@Req() request: IncomingMessage, @Res() response: ServerResponse): void | Promise<void> {
    const key = keyOfPath(request.url!);
    if (wantsEvents(request, ANY_TYPE)) return this.follow(request, response, key);
    const known = ASKS_FOR_HISTORY.test(request.url!) ? HISTORY_PARAMETERS : READ_PARAMETERS;
    const parameters = parametersOf(request, known);
    parameters.flag(WATCH_PARAMETER);
    if (parameters.flag('history')) return this.past.answerHistory(request, response, key, parameters);
    const at = parameters.get('at');
    if (at !== undefined) return this.past.answerAt(request, response, key, at);
    const time = acceptDatetimeOf(request);
    if (time !== undefined) return this.past.answerNegotiated(request, response, key, time);
    const wait = waitOf(request);
    if (wait !== undefined) return this.getWhenNew(request, response, key, wait);
    if (request.method === 'HEAD') return this.head(request, response, key);
    const database = this.databases.of(request);
    const entry = key.endsWith('/') ? getOrAdvise(database, key) : database.get(key, sizeCheck(response));
    if (entry instanceof Promise) return entry.then((found) => answerEntry(request, response, found));
    return answerEntry(request, response, entry);
  }

  /** Stores one entry. */
  @Put()
  @Documented(docs, 'DescribePut')
  async put(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const key = keyOfPath(request.url!);
    const isOnce = hasIdempotencyKey(request);
    const parameters = parametersOf(request, PUT_PARAMETERS);
    const expiry = this.expiryIn(request, parameters, isOnce) ?? 'never';
    const condition = writeConditionOf(request);
    const from = parameters.get('from');
    if (from !== undefined) return this.putAgain(request, response, key, from, expiry, condition);
    refusePart(request);
    const given = contentTypeOf(request);
    const value = await this.readValue(request, response);
    const type = storedType(given, value);
    if (isJson(type)) await checkJson(value);
    const database = isOnce ? await this.once(request, response, expiry, value) : this.databases.of(request);
    const written = await database.put(key, value, type, expiry, condition);
    answerDescription(response, written, this.config.publicUrl);
  }

  /** Stores the value and the type of an earlier version. */
  private async putAgain(
    request: IncomingMessage,
    response: ServerResponse,
    key: string,
    from: string,
    expiry: Expiry,
    condition: Condition | undefined,
  ): Promise<void> {
    if (hasBody(request)) await this.bodies.readNone(request, response, valueGiven());
    const database = hasIdempotencyKey(request)
      ? await this.once(request, response, expiry)
      : this.databases.of(request);
    // A write that was done before stands, also when the version has left the log since.
    const isDone = await database.isDone();
    const { value, type } = isDone ? NOTHING : await this.past.valueFrom(request, response, key, from);
    const written = await database.put(key, value, type, expiry, condition);
    answerDescription(response, written, this.config.publicUrl);
  }

  /** Counts, edits JSON, or changes when an entry ends. */
  @Patch()
  @Documented(docs, 'DescribePatch')
  async patch(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const { publicUrl } = this.config;
    const key = keyOfPath(request.url!);
    const parameters = parametersOf(request, ['incr', ...EXPIRY_PARAMETERS]);
    const condition = writeConditionOf(request);
    const incr = parameters.get('incr');
    const isOnce = hasIdempotencyKey(request);
    const expiry = this.expiryIn(request, parameters, isOnce);
    const takesBody = incr === undefined && expiry === undefined;
    if (hasBody(request) && !takesBody) await this.bodies.readNone(request, response, bothGiven());
    const patch = hasBody(request) && takesBody ? await this.readPatch(request, response) : undefined;
    const database = isOnce ? await this.once(request, response, expiry, patch) : this.databases.of(request);
    if (patch) {
      // The answer has all of the value, also what the patch leaves as it is.
      requireRight(request.access, 'read');
      const most = this.config.maxPatchBytes;
      const check = (entry: EntryHeader) => checkEditable(entry, most);
      const change = (entry: Entry) => inTurns(applyPatch(entry, patch, most));
      await answerNewValue(response, await database.edit(key, change, condition, check), publicUrl);
    } else if (incr !== undefined) {
      const by = parseInt64('incr', incr);
      const written = await database.increment(key, by, expiry ?? 'never', condition);
      await answerNewValue(response, written, publicUrl);
    } else if (expiry !== undefined) {
      answerDescription(response, await database.touch(key, expiry, condition), publicUrl);
    } else {
      throw invalid('A PATCH needs `incr`, `ttl`, `expires`, or a merge patch as its body.');
    }
  }

  /** Deletes one entry. */
  @Delete()
  @Documented(docs, 'DescribeDelete')
  async delete(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    parametersOf(request, []);
    const database = hasIdempotencyKey(request)
      ? await this.once(request, response)
      : this.databases.of(request);
    await database.delete(keyOfPath(request.url!), writeConditionOf(request));
    answerEmpty(response, 204);
  }

  /** Answers what GET would, without reading the value. */
  private async head(request: IncomingMessage, response: ServerResponse, key: string): Promise<void> {
    answerHead(request, response, await this.databases.of(request).head(key));
  }

  private follow(request: IncomingMessage, response: ServerResponse, key: string): Promise<void> {
    checkKey(key);
    const since = watchParameters(request, []).get('since');
    return this.watch.stream(request, response, [{ key }], since);
  }

  /** Holds the answer while it would be 304, or, without If-None-Match, while it would be 404. */
  private async getWhenNew(
    request: IncomingMessage,
    response: ServerResponse,
    key: string,
    wait: number,
  ): Promise<void> {
    const condition = conditionOf(request);
    const isKnown = (entry: Entry | undefined) =>
      condition?.ifNoneMatch === undefined
        ? entry === undefined
        : entry !== undefined && evaluate(condition, entry) === 'known';
    const database = this.databases.of(request);
    const read = () => database.find(key);
    const entry = await this.watch.hold(response, { key }, wait, read, isKnown);
    if (!entry) throw await missing(database, key);
    // A date has whole seconds, too coarse to wait by: if only a date says that the client knows the entry, it is answered at once.
    if (condition && !condition.ifNoneMatch && evaluate(condition, entry) === 'known')
      response.removeHeader('Preference-Applied');
    await answerEntry(request, response, entry);
  }

  /** Returns the database in which the write of a request with an Idempotency-Key is done once. */
  private async once(
    request: IncomingMessage,
    response: ServerResponse,
    expiry?: Expiry,
    body?: Buffer,
  ): Promise<DatabaseService> {
    const database = await this.databases.once(request, response, body);
    // What was done before is not refused for being late.
    if (typeof expiry === 'object' && 'at' in expiry && !(await database.isDone()))
      assertAhead(expiry.at, database.now());
    return database;
  }

  /** A request with an Idempotency-Key may have been done when its time was not over, which `once` looks at. */
  private expiryIn(request: IncomingMessage, parameters: Parameters, isOnce: boolean): Expiry | undefined {
    const now = isOnce ? 0 : this.databases.of(request).now();
    return parseExpiry(parameters.get('ttl'), parameters.get('expires'), now);
  }

  private readValue(request: IncomingMessage, response: ServerResponse): Promise<Buffer> {
    const bytes = this.config.maxValueBytes;
    return this.bodies.read(request, response, { bytes, what: 'A value', setting: 'MAX_VALUE_BYTES' });
  }

  private async readPatch(request: IncomingMessage, response: ServerResponse): Promise<Buffer> {
    if (essenceOf(contentTypeOf(request) ?? '') !== MERGE_PATCH) {
      const detail = `The body of a PATCH must be a merge patch, ${MERGE_PATCH}.`;
      throw new DatabaseError('unsupported-type', detail);
    }
    const bytes = this.config.maxPatchBytes;
    const limit = { bytes, what: 'A merge patch', setting: 'MAX_PATCH_BYTES' };
    const patch = await this.bodies.read(request, response, limit);
    await inTurns(readJson(patch, 'The patch'));
    return patch;
  }
}

async function getOrAdvise(database: DatabaseService, key: string): Promise<Entry> {
  const entry = await database.find(key);
  if (entry) return entry;
  throw await missing(database, key);
}

/** Returns the error for a key that is absent. One with a slash at its end is often meant as a folder. */
async function missing(database: DatabaseService, key: string): Promise<MissingKeyError> {
  if (!key.endsWith('/')) return new MissingKeyError(key);
  const { items } = await database.range({ prefix: key, limit: 1 });
  if (items.length === 0) return new MissingKeyError(key);
  const prefix = encodeURIComponent(key).replaceAll('%2F', '/');
  return new MissingKeyError(key, `; \`/kv?prefix=${prefix}\` lists the keys that begin with it`);
}

function parametersOf(request: IncomingMessage, known: readonly string[]): Parameters {
  return new Parameters(request.url!, known);
}

/** Many clients send text as JSON by default. @throws DatabaseError `invalid-json` */
async function checkJson(value: Buffer): Promise<void> {
  try {
    await inTurns(readJson(value, 'The value'));
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    const advice =
      'The request says that it is application/json; text is sent with `Content-Type: text/plain`.';
    throw new DatabaseError(error.code, `${error.detail} ${advice}`, error.context);
  }
}

/** A value is replaced as a whole (RFC 9110, 14.5). */
function refusePart({ headers }: IncomingMessage): void {
  if (headers['content-range'] === undefined) return;
  const detail = 'A PUT replaces the whole value: send all of it, without Content-Range.';
  throw new DatabaseError('malformed-request', detail);
}

function valueGiven(): DatabaseError {
  return invalid(
    'A PUT takes either `from`, the tag of an earlier version, or a value as its body, not both.',
  );
}

function bothGiven(): DatabaseError {
  return invalid('A PATCH takes either `incr`, `ttl` or `expires`, or a merge patch as its body, not both.');
}

function invalid(detail: string): DatabaseError {
  return new DatabaseError('invalid-parameter', detail);
}
