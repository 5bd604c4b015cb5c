import { DatabaseError } from '../../errors.js';
import type { JsonNode, OutlineLevel } from '../../http/request/json-outline.js';
import { compactJson } from '../../http/request/json-text.js';
import { JSON_TYPE } from '../../http/request/media-type.js';
import { oneOf, parseInt64 } from '../../http/request/parameters.js';
import { matchTags, noneMatchTags } from '../../http/request/preconditions.js';
import { readJson } from '../../http/request/strict-json.js';
import type { Turns } from '../../http/request/turns.js';
import type { Condition } from '../../storage/condition.js';
import type { BatchOperation, Expiry } from '../../storage/operation.js';
import { EXPIRY_PARAMETERS, parseExpiry } from '../expiry.js';
import { readString, readType, readValue, unknownMember, type Members } from '../entry-json.js';

const MAX_OPERATIONS = 1000;
const BATCH_MEMBERS = new Set(['ops', 'atomic']);
const CONDITIONS = ['ifMatch', 'ifNoneMatch'];
/** A tag without its quotes. */
const BARE_TAG = /^[\w-]+$/;
/** Length of a list of tags, as headers bound it: more would take its time at once. */
const MAX_TAGS = 64 * 1024;
/** The members of each operation. */
const MEMBERS = new Map([
  ['check', namesOf(CONDITIONS)],
  ['get', namesOf([])],
  ['put', namesOf(['value', 'base64', 'type', ...EXPIRY_PARAMETERS, ...CONDITIONS])],
  ['incr', namesOf(['by', ...EXPIRY_PARAMETERS, ...CONDITIONS])],
  ['touch', namesOf([...EXPIRY_PARAMETERS, ...CONDITIONS])],
  ['delete', namesOf(CONDITIONS)],
]);

function namesOf(special: readonly string[]): ReadonlySet<string> {
  return new Set(['op', 'key', ...special]);
}

/** A batch, its operations and their members. Of more names than there are, one is unknown. */
const OUTLINE: readonly OutlineLevel[] = [
  { bracket: '{', most: 16 },
  { bracket: '[', most: MAX_OPERATIONS },
  { bracket: '{', most: 16 },
];

/** The operations of a batch, and whether they are all or nothing. */
export interface BatchRequest {
  /** Without `atomic`, an error in the place of each that is malformed. */
  readonly operations: readonly (BatchOperation | DatabaseError)[];
  readonly atomic: boolean;
}

/**
 * Reads the body of `POST /batch`, which came at `now`.
 * @throws DatabaseError `invalid-batch`, …, if atomic with the `index` of the operation that is malformed
 */
export function* parseBatch(body: Buffer, now: number): Turns<BatchRequest> {
  const batch = membersOf(yield* readJson(body, 'The batch', OUTLINE), 'The batch');
  const unknown = unknownMember(batch, BATCH_MEMBERS);
  if (unknown !== undefined)
    throw invalid(
      `A batch has no member ${JSON.stringify(unknown.slice(0, 64))}, only \`ops\` and \`atomic\`.`,
    );
  const atomic = batch.has('atomic') ? batch.get('atomic')!.scalar : 'true';
  if (atomic !== 'true' && atomic !== 'false') throw invalid('`atomic` must be true or false.');
  const { items = [], count = 0 } = batch.get('ops') ?? {};
  if (count === 0) throw invalid('`ops` must be a list of operations, at least one.');
  if (count > MAX_OPERATIONS) {
    const detail = `A batch may have at most ${MAX_OPERATIONS} operations; this one has ${count}.`;
    throw new DatabaseError('body-too-large', detail, { limit: MAX_OPERATIONS });
  }
  const operations: (BatchOperation | DatabaseError)[] = [];
  for (const item of items) {
    const operation = yield* parseAt(item, operations.length, now);
    if (atomic === 'true' && operation instanceof DatabaseError) throw operation;
    operations.push(operation);
    yield;
  }
  return { atomic: atomic === 'true', operations };
}

function* parseAt(op: JsonNode, index: number, now: number): Turns<BatchOperation | DatabaseError> {
  try {
    return yield* parseOperation(membersOf(op, 'An operation'), now);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    // A parameter of a single call is a member of the batch here.
    return (error.code === 'invalid-parameter' ? invalid(error.detail) : error).with({ index });
  }
}

function* parseOperation(members: Members, now: number): Turns<BatchOperation> {
  const op = members.get('op')?.isString ? yield* readText(members, 'op') : '';
  const allowed = MEMBERS.get(op);
  if (!allowed) throw invalid(`\`op\` must be ${oneOf([...MEMBERS.keys()], 'or')}.`);
  const unknown = unknownMember(members, allowed);
  if (unknown !== undefined) {
    const known = oneOf([...allowed].slice(1), 'and');
    throw invalid(`\`${op}\` has no member ${JSON.stringify(unknown.slice(0, 64))}, only ${known}.`);
  }
  const key = yield* readText(members, 'key');
  const condition = yield* conditionOf(members);
  const expiry = yield* expiryOf(members, now);
  switch (op) {
    case 'check':
      if (!condition) throw invalid('`check` needs `ifMatch` or `ifNoneMatch`.');
      return { op, key, condition };
    case 'put':
      return yield* putOf(key, members, expiry ?? 'never', condition);
    case 'incr':
      return { op, key, amount: yield* amountOf(members), expiry: expiry ?? 'never', condition };
    case 'touch':
      if (expiry === undefined) throw invalid('`touch` needs `ttl` or `expires`.');
      return { op, key, expiry, condition };
    case 'delete':
      return { op, key, condition };
    default:
      return { op: 'get', key };
  }
}

/** A string is text; any other JSON is stored as its compact text; `base64` is bytes. */
function* putOf(
  key: string,
  members: Members,
  expiry: Expiry,
  condition: Condition | undefined,
): Turns<BatchOperation> {
  const given = members.get('value');
  if (!given || given.isString) {
    const value = yield* readValue(members);
    return { op: 'put', key, value, type: yield* readType(members, value), expiry, condition };
  }
  if (members.has('type') || members.has('base64')) {
    throw invalid('A `value` that is not a string is stored as JSON: leave out `type` and `base64`.');
  }
  return { op: 'put', key, value: yield* compactJson(given), type: JSON_TYPE, expiry, condition };
}

function* conditionOf(members: Members): Turns<Condition | undefined> {
  const ifMatch = yield* tagsOf(members, 'ifMatch', matchTags);
  const ifNoneMatch = yield* tagsOf(members, 'ifNoneMatch', noneMatchTags);
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return { ...(ifMatch !== undefined && { ifMatch }), ...(ifNoneMatch !== undefined && { ifNoneMatch }) };
}

/** Reads a tag as listings give it, or what the header of that name takes. */
function* tagsOf(
  members: Members,
  name: string,
  parse: typeof matchTags,
): Turns<'*' | readonly string[] | undefined> {
  if (!members.has(name)) return undefined;
  const text = members.get(name)!.isString ? yield* readText(members, name) : '';
  const tags = text.length > MAX_TAGS ? undefined : BARE_TAG.test(text) ? [text] : parse(text);
  if (tags !== undefined) return tags;
  throw invalid(
    `\`${name}\` must be a tag, as \`etag\` gives it or as the header has it, in quotes, or \`*\`.`,
  );
}

/** `expires` may be null, as a description has it. */
function* expiryOf(members: Members, now: number): Turns<Expiry | undefined> {
  const ttl = members.has('ttl') ? yield* numberOrString(members, 'ttl') : undefined;
  const isNever = ttl === undefined && members.get('expires')?.isNull === true;
  if (isNever) return 'never';
  const expires = members.has('expires') ? yield* numberOrString(members, 'expires') : undefined;
  return parseExpiry(ttl, expires, now);
}

function* amountOf(members: Members): Turns<bigint> {
  return members.has('by') ? parseInt64('by', yield* numberOrString(members, 'by')) : 1n;
}

function* numberOrString(members: Members, name: string): Turns<string> {
  const node = members.get(name)!;
  return node.isString ? yield* readText(members, name) : (node.scalar ?? '');
}

function* readText(members: Members, name: string): Turns<string> {
  return (yield* readString(members, name)).toString();
}

function membersOf({ members }: JsonNode, what: string): Members {
  if (members) return members;
  throw invalid(`${what} must be a JSON object.`);
}

function invalid(detail: string): DatabaseError {
  return new DatabaseError('invalid-batch', detail);
}
