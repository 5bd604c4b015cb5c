import { Controller, Post, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError, MissingKeyError } from '../../errors.js';
import { requireRight, type Access } from '../../auth/access.js';
import { answerUncachedPieces, problemOf } from '../../http/answer/answer.js';
import { Documented } from '../../http/answer/documented.js';
import { BodyReader } from '../../http/request/body-reader.js';
import { STATUS_OF } from '../../http/answer/error-status.js';
import { countUnsent, refuseIfFull } from '../../http/answer/unsent-answers.js';
import type { BatchOperation, Outcome } from '../../storage/operation.js';
import { parseBatch, type BatchRequest } from './batch-request.js';
import type { DatabaseService } from '../database.service.js';
import { Databases } from '../databases.js';
import { expiresJson, typeJson, valueMemberPieces } from '../entry-json.js';
import { gatherPieces } from '../json-pieces.js';
import { hasIdempotencyKey } from '../../http/request/idempotency-key.js';
import { contentTypeOf, essenceOf, JSON_TYPE } from '../../http/request/media-type.js';
import { Parameters } from '../../http/request/parameters.js';
import { refuseConditions } from '../../http/request/preconditions.js';
import { inTurns } from '../../http/request/turns.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./batch.openapi.js');

const LIMIT = { bytes: 16 * 2 ** 20, what: 'A batch' };
const TYPES = [JSON_TYPE, 'application/x-www-form-urlencoded', 'text/plain'];

/** `/batch`: many operations in one request, all or nothing or each by itself. */
@Controller('batch')
export class BatchController {
  constructor(
    private readonly databases: Databases,
    private readonly bodies: BodyReader,
  ) {}

  /** Does many operations. */
  @Post()
  @Documented(docs, 'DescribeBatch')
  async run(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    new Parameters(request.url!, []);
    refuseConditions(request, 'Conditions stand in the operations: `ifMatch`, `ifNoneMatch`.');
    if (!TYPES.includes(essenceOf(contentTypeOf(request) ?? JSON_TYPE))) {
      throw new DatabaseError('unsupported-type', 'A batch must be sent as application/json.');
    }
    const pieces = await this.results(request, response);
    await answerUncachedPieces(response, pieces);
  }

  /** Does the operations, and returns the answer. Their values are in memory until it is made, and no longer. */
  private async results(request: IncomingMessage, response: ServerResponse): Promise<Buffer[]> {
    const isOnce = hasIdempotencyKey(request);
    const body = await this.bodies.read(request, response, LIMIT);
    const asked = isOnce ? await this.databases.once(request, response, body) : this.databases.of(request);
    const { operations, atomic } = await parse(body, asked, isOnce);
    requireRights(request.access, operations);
    if (operations.some((each) => 'op' in each && each.op === 'get')) refuseIfFull(response);
    const changesNothing = operations.every(
      (each) => !('op' in each) || each.op === 'get' || each.op === 'check',
    );
    // Reads ignore an Idempotency-Key.
    const database = changesNothing ? this.databases.of(request) : asked;
    const outcomes = await database.batch(operations, atomic);
    // Values and text are in memory until the text is made.
    countUnsent(response, 2 * foundIn(outcomes), changesNothing);
    return gatherPieces(answerParts(operations, outcomes));
  }
}

/** Reads the body. A batch that is done once may have been done before a time in it was over. */
async function parse(body: Buffer, database: DatabaseService, isOnce: boolean): Promise<BatchRequest> {
  if (!isOnce) return inTurns(parseBatch(body, database.now()));
  const request = await inTurns(parseBatch(body, 0));
  return (await database.isLate(request.operations)) ? inTurns(parseBatch(body, database.now())) : request;
}

/** @throws DatabaseError `forbidden` unless the token may do every operation; a check tells what a read and a condition of a write do */
function requireRights(
  access: Access | undefined,
  operations: readonly (BatchOperation | DatabaseError)[],
): void {
  for (const operation of operations) {
    if (!('op' in operation)) continue;
    const isRead = operation.op === 'get' || (operation.op === 'check' && !access?.may('write'));
    requireRight(access, isRead ? 'read' : 'write');
  }
}

/** Returns the bytes of the values that were read. */
function foundIn(outcomes: readonly (Outcome | DatabaseError)[]): number {
  let bytes = 0;
  for (const outcome of outcomes)
    if ('kind' in outcome && outcome.kind === 'found') bytes += outcome.entry.size;
  return bytes;
}

/** Yields the JSON of the answer, a result or a piece of a large value at a time. */
function* answerParts(
  operations: readonly (BatchOperation | DatabaseError)[],
  outcomes: readonly (Outcome | DatabaseError)[],
): Generator<string> {
  yield '{"results":[';
  for (const [index, outcome] of outcomes.entries()) {
    if (index > 0) yield ',';
    yield* resultParts(operations[index]!, outcome);
  }
  yield ']}\n';
}

/** Yields what the single call would have answered. */
function* resultParts(
  operation: BatchOperation | DatabaseError,
  outcome: Outcome | DatabaseError,
): Generator<string> {
  if (operation instanceof DatabaseError) return yield problemJson(operation);
  if (outcome instanceof DatabaseError) return yield problemJson(outcome);
  const { op, key } = operation;
  switch (outcome.kind) {
    case 'absent':
      return yield op === 'delete' ? '{"status":204}' : problemJson(new MissingKeyError(key));
    case 'deleted':
    case 'checked':
      return yield '{"status":204}';
    default: {
      const { entry, kind } = outcome;
      const status = kind === 'created' ? 201 : 200;
      const about = `{"status":${status},"etag":"${entry.etag}","type":${typeJson(entry.type)},"expires":${expiresJson(entry.expires)}`;
      if (op === 'put' || op === 'touch') return yield `${about}}`;
      yield `${about},`;
      yield* valueMemberPieces(entry.value);
      yield '}';
    }
  }
}

function problemJson(error: DatabaseError): string {
  return JSON.stringify({ status: STATUS_OF[error.code], problem: problemOf(error) });
}
