import { Injectable } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppConfig } from '../../config/app-config.js';
import { DatabaseError, MissingKeyError } from '../../errors.js';
import {
  answerEmpty,
  answerError,
  answerJson,
  answerOptions,
  answerValue,
  hasBody,
  refuseMethod,
  vary,
} from '../../http/answer/answer.js';
import { BodyReader } from '../../http/request/body-reader.js';
import { evaluate } from '../../storage/condition.js';
import type { Entry } from '../../storage/entry.js';
import type { Expiry } from '../../storage/operation.js';
import { rangeOf } from './byte-range.js';
import { DatabaseService, type Written } from '../database.service.js';
import { describe, httpDate, timestamp } from '../entry-json.js';
import { parseJson } from '../../http/request/strict-json.js';
import { pathOf } from '../key.js';
import { contentTypeOf, essenceOf, storedType } from '../../http/request/media-type.js';
import { mergePatch } from './merge-patch.js';
import { parseInt64, parseTtl, type Parameters } from '../../http/request/parameters.js';
import { conditionOf, writeConditionOf } from '../../http/request/preconditions.js';
import { waitOf, WatchEndpoint } from '../watch/watch.endpoint.js';

const MERGE_PATCH = 'application/merge-patch+json';
const ACCEPT_PATCH = ['Accept-Patch', MERGE_PATCH];
const ALLOW = 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS';

/** What one entry answers, whichever of its two spellings the URL has: `/kv/{key}` or `/kv?key=`. */
@Injectable()
export class EntryEndpoint {
  constructor(
    private readonly database: DatabaseService,
    private readonly bodies: BodyReader,
    private readonly watch: WatchEndpoint,
    private readonly config: AppConfig,
  ) {}

  get(request: IncomingMessage, response: ServerResponse, key: string): void | Promise<void> {
    const wait = waitOf(request);
    if (wait !== undefined) return this.getHeld(request, response, key, wait);
    const entry = this.database.get(key);
    if (entry instanceof Promise) return entry.then((found) => show(request, response, found));
    show(request, response, entry);
  }

  /** Holds the answer while the client knows it: while it would be 304, or, without If-None-Match, while it would be 404. */
  private async getHeld(
    request: IncomingMessage,
    response: ServerResponse,
    key: string,
    wait: number,
  ): Promise<void> {
    const condition = conditionOf(request.headers);
    const isKnown = (entry: Entry | undefined) =>
      condition?.ifNoneMatch === undefined
        ? entry === undefined
        : entry !== undefined && evaluate(condition, entry) === 'known';
    const look = () => this.database.find(key);
    const entry = await this.watch.hold(response, { key }, wait, look, isKnown);
    if (!entry) throw new MissingKeyError(key);
    // Dates have whole seconds, too coarse to wait by: what a date alone says to be known is answered at once.
    if (condition && !condition.ifNoneMatch && evaluate(condition, entry) === 'known')
      response.removeHeader('Preference-Applied');
    show(request, response, entry);
  }

  async put(
    request: IncomingMessage,
    response: ServerResponse,
    key: string,
    parameters: Parameters,
  ): Promise<void> {
    const { headers } = request;
    const ttl = parameters.get('ttl');
    const expiry = ttl === undefined ? 'never' : parseTtl(ttl);
    const condition = writeConditionOf(headers);
    if (headers['content-range'] !== undefined) {
      throw new DatabaseError(
        'malformed-request',
        'A PUT replaces the whole value: send all of it, without Content-Range.',
      );
    }
    const given = contentTypeOf(request);
    const value = await this.readValue(request, response);
    const type = storedType(given, value);
    if (essenceOf(type) === 'application/json') parseJson(value, 'The value');
    const written = await this.database.put(key, value, type, expiry, condition);
    answerJson(response, written.created ? 201 : 200, describe(written.entry), headersOfWrite(written));
  }

  async patch(
    request: IncomingMessage,
    response: ServerResponse,
    key: string,
    parameters: Parameters,
  ): Promise<void> {
    const condition = writeConditionOf(request.headers);
    const incr = parameters.get('incr');
    const ttl = parameters.get('ttl');
    if (hasBody(request)) {
      if (incr !== undefined || ttl !== undefined) {
        throw new DatabaseError(
          'invalid-parameter',
          'A PATCH takes either `incr` or `ttl`, or a merge patch as its body, not both.',
        );
      }
      const change = await this.readPatch(request, response);
      answerPatched(response, await this.database.edit(key, change, condition));
    } else if (incr !== undefined) {
      const expiry: Expiry = ttl === undefined ? 'never' : parseTtl(ttl);
      const written = await this.database.increment(key, parseInt64('incr', incr), expiry, condition);
      answerPatched(response, written);
    } else if (ttl !== undefined) {
      const { entry } = await this.database.touch(key, parseTtl(ttl), condition);
      answerJson(response, 200, describe(entry), headersOfEntry(entry));
    } else {
      throw new DatabaseError(
        'invalid-parameter',
        'A PATCH needs `incr`, `ttl`, or a merge patch as its body.',
      );
    }
  }

  async delete(request: IncomingMessage, response: ServerResponse, key: string): Promise<void> {
    await this.database.delete(key, writeConditionOf(request.headers));
    answerEmpty(response, 204);
  }

  /** OPTIONS, and what an entry does not have. */
  otherMethod(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === 'OPTIONS') answerOptions(response, ALLOW, ACCEPT_PATCH);
    else refuseMethod(request, response, ALLOW);
  }

  private readValue(request: IncomingMessage, response: ServerResponse): Promise<Buffer> {
    const bytes = this.config.maxValueBytes;
    return this.bodies.read(request, response, { bytes, what: 'A value', setting: 'MAX_VALUE_BYTES' });
  }

  private async readPatch(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<(entry: Entry) => Buffer> {
    if (essenceOf(contentTypeOf(request) ?? '') !== MERGE_PATCH) {
      throw new DatabaseError(
        'unsupported-type',
        `The body of a PATCH must be a merge patch, ${MERGE_PATCH}.`,
      );
    }
    return mergePatch(await this.readValue(request, response));
  }
}

/** Answers a stored entry with its condition and its range, in the order of RFC 9110, 13.2.2. */
function show(request: IncomingMessage, response: ServerResponse, entry: Entry): void {
  const { headers, method } = request;
  const condition = conditionOf(headers);
  const verdict = condition ? evaluate(condition, entry) : 'holds';
  if (verdict === 'failed') {
    const detail = `The condition does not hold for the key \`${entry.key}\`: its tag is "${entry.etag}".`;
    throw new DatabaseError('precondition-failed', detail, { etag: entry.etag });
  }
  const about = [...headersOfEntry(entry), ...vary(response)];
  if (verdict === 'known') return answerEmpty(response, 304, about);
  const range =
    headers.range !== undefined && method === 'GET' ? tryRange(request, response, entry) : undefined;
  if (range === null) return;
  about.push('Content-Type', entry.type, 'Accept-Ranges', 'bytes');
  if (!range) return answerValue(response, 200, entry.value, about);
  about.push('Content-Range', `bytes ${range.first}-${range.last}/${entry.size}`);
  answerValue(response, 206, entry.value.subarray(range.first, range.last + 1), about);
}

/** The range, undefined for the whole value, or null if it cannot be satisfied and that has been answered. */
function tryRange(request: IncomingMessage, response: ServerResponse, entry: Entry) {
  try {
    return rangeOf(request.headers, entry);
  } catch (error) {
    answerError(response, error as DatabaseError, undefined, ['Content-Range', `bytes */${entry.size}`]);
    return null;
  }
}

function headersOfEntry(entry: Entry): string[] {
  const headers = ['ETag', `"${entry.etag}"`, 'Last-Modified', httpDate(entry.modified)];
  if (entry.expires !== 0) headers.push('KV-Expires', timestamp(entry.expires));
  return headers;
}

function headersOfWrite({ created, entry }: Written): string[] {
  const headers = headersOfEntry(entry);
  if (created) headers.push('Location', pathOf(entry.key));
  return headers;
}

/** The new value is the answer. */
function answerPatched(response: ServerResponse, written: Written): void {
  const { created, entry } = written;
  answerValue(response, created ? 201 : 200, entry.value, [
    ...headersOfWrite(written),
    'Content-Type',
    entry.type,
  ]);
}
