import { DatabaseError } from '../../errors.js';
import type { Condition } from '../../storage/condition.js';
import type { Expiry, BatchOperation } from '../../storage/operation.js';
import { compactJson, markNumbers, numberText, stringOf } from '../../http/request/lossless-json.js';
import { unknownMember, readType, readValue } from '../entry-json.js';
import { parseJsonText, textOf } from '../../http/request/strict-json.js';
import { oneOf, parseInt64, parseTtl } from '../../http/request/parameters.js';

const MAX_OPERATIONS = 1000;
const CONDITIONS = ['ifMatch', 'ifNoneMatch'];
/** The members of each operation. */
const MEMBERS = new Map([
  ['check', membersOf(CONDITIONS)],
  ['get', membersOf([])],
  ['put', membersOf(['value', 'base64', 'type', 'ttl', ...CONDITIONS])],
  ['incr', membersOf(['by', 'ttl', ...CONDITIONS])],
  ['delete', membersOf(CONDITIONS)],
]);

function membersOf(special: readonly string[]): ReadonlySet<string> {
  return new Set(['op', 'key', ...special]);
}

type Members = Record<string, unknown>;

/** The operations of a batch, and whether they are all or nothing. */
interface BatchRequest {
  readonly operations: readonly BatchOperation[];
  readonly atomic: boolean;
}

/** Reads the body of `POST /batch`. @throws DatabaseError `invalid-batch`, … with the `index` of the operation */
export function parseBatch(body: Buffer): BatchRequest {
  const batch = asObject(parseBody(body), 'The batch');
  const unknown = Object.keys(batch).find((name) => name !== 'atomic' && name !== 'ops');
  if (unknown !== undefined)
    throw invalid(
      `A batch has no member ${JSON.stringify(unknown.slice(0, 64))}, only \`ops\` and \`atomic\`.`,
    );
  const { atomic = true, ops } = batch;
  if (typeof atomic !== 'boolean') throw invalid('`atomic` must be true or false.');
  if (!Array.isArray(ops) || ops.length === 0)
    throw invalid('`ops` must be a list of operations, at least one.');
  if (ops.length > MAX_OPERATIONS) {
    throw new DatabaseError(
      'body-too-large',
      `A batch may have at most ${MAX_OPERATIONS} operations; this one has ${ops.length}.`,
      {
        limit: MAX_OPERATIONS,
      },
    );
  }
  return { atomic, operations: ops.map((op: unknown, index) => parseAt(op, index)) };
}

/** Parses a body a second time only if a number in it matters, which is rare. */
function parseBody(body: Buffer): unknown {
  const text = textOf(body, 'The batch');
  const parsed = parseJsonText(text, 'The batch');
  return keepsNumbers(parsed) ? parseJsonText(markNumbers(text), 'The batch') : parsed;
}

/** Whether an operation stores JSON, or has a number of its own. */
function keepsNumbers(batch: unknown): boolean {
  const ops = (batch as Members | null)?.['ops'];
  return Array.isArray(ops) && (ops as (Members | null)[]).some(hasNumber);
}

function hasNumber(op: Members | null): boolean {
  return isNumeric(op?.['value']) || isNumeric(op?.['by']) || isNumeric(op?.['ttl']);
}

function isNumeric(member: unknown): boolean {
  return typeof member === 'number' || (typeof member === 'object' && member !== null);
}

function parseAt(op: unknown, index: number): BatchOperation {
  try {
    return parseOperation(asObject(op, 'An operation'));
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    // A parameter of a single call is a member of the batch here.
    throw (error.code === 'invalid-parameter' ? invalid(error.detail) : error).with({ index });
  }
}

function parseOperation(members: Members): BatchOperation {
  const op = stringOf(members['op']);
  const allowed = MEMBERS.get(op ?? '');
  if (!allowed) throw invalid(`\`op\` must be ${oneOf([...MEMBERS.keys()], 'or')}.`);
  const unknown = unknownMember(members, allowed);
  if (unknown !== undefined) {
    const known = oneOf([...allowed].slice(1), 'and');
    throw invalid(`\`${op}\` has no member ${JSON.stringify(unknown.slice(0, 64))}, only ${known}.`);
  }
  const key = stringOf(members['key']);
  if (key === undefined) throw invalid('`key` must be a string.');
  const condition = conditionOf(members);
  switch (op) {
    case 'check':
      if (!condition) throw invalid('`check` needs `ifMatch` or `ifNoneMatch`.');
      return { op, key, condition };
    case 'put':
      return putOf(key, members, condition);
    case 'incr':
      return { op, key, by: amountOf(members['by']), expiry: expiryOf(members['ttl']), condition };
    case 'delete':
      return { op, key, condition };
    default:
      return { op: 'get', key };
  }
}

/** A string is text; any other JSON is stored as its compact text; `base64` is bytes. */
function putOf(key: string, members: Members, condition: Condition | undefined): BatchOperation {
  const given = members['value'];
  const expiry = expiryOf(members['ttl']);
  if (given === undefined || stringOf(given) !== undefined) {
    const value = readValue(members);
    return { op: 'put', key, value, type: readType(members, value), expiry, condition };
  }
  if (members['type'] !== undefined || members['base64'] !== undefined) {
    throw invalid('A `value` that is not a string is stored as JSON: leave out `type` and `base64`.');
  }
  const value = readValue({ value: compactJson(given) });
  return { op: 'put', key, value, type: 'application/json', expiry, condition };
}

function conditionOf(members: Members): Condition | undefined {
  const ifMatch = tagOf(members['ifMatch'], 'ifMatch');
  const ifNoneMatch = tagOf(members['ifNoneMatch'], 'ifNoneMatch');
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return { ...(ifMatch !== undefined && { ifMatch }), ...(ifNoneMatch !== undefined && { ifNoneMatch }) };
}

/** Reads a tag as listings give it, or as the header has it, with its quotes. */
function tagOf(given: unknown, name: string): '*' | string[] | undefined {
  if (given === undefined) return undefined;
  const tag = stringOf(given);
  if (tag === undefined || tag === '')
    throw invalid(`\`${name}\` must be one tag, as \`etag\` gives it, or \`*\`.`);
  return tag === '*' ? tag : [tag.replace(/^"(.*)"$/, '$1')];
}

function expiryOf(ttl: unknown): Expiry {
  if (ttl === undefined) return 'never';
  return parseTtl(stringOf(ttl) ?? numberText(ttl) ?? '');
}

function amountOf(by: unknown): bigint {
  if (by === undefined) return 1n;
  return parseInt64('by', stringOf(by) ?? numberText(by) ?? '');
}

function asObject(value: unknown, what: string): Members {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members;
  throw invalid(`${what} must be a JSON object.`);
}

function invalid(detail: string): DatabaseError {
  return new DatabaseError('invalid-batch', detail);
}
