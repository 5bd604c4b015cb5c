import { DatabaseError, MissingKeyError, type ErrorCode, type ErrorContext } from '../errors.js';
import type { Entry } from './entry.js';
import { idempotencyMismatch, type KeyedAnswer, type KeyedWrite } from './idempotency.js';
import type { BatchOperation, Outcome } from './operation.js';

/*
 * What a keyed write came to, as engines that decide in this process store it: a line of JSON, then the values.
 *
 * The keys are left out, because whoever asks for it knows them: the same request has the same operations. A sentence that
 * names the key has a mark instead.
 */

/** Kind; tag, type, size, created, modified and expires of an entry; how many bytes of its value follow, if it has one. */
type StoredEntry = [
  'created' | 'updated' | 'found',
  string,
  string,
  number,
  number,
  number,
  number,
  (number | null)?,
];
type StoredError = ['!', ErrorCode, string, ErrorContext];
type Stored = StoredEntry | StoredError | ['deleted' | 'absent' | 'checked'];

const LENGTH_BYTES = 4;
const NO_VALUE = Buffer.alloc(0);
/** No sentence has it. */
const KEY_MARK = '\0';

type Outcomes = KeyedAnswer['outcomes'];

/** Returns the bytes of what `write` came to. */
export function encodeOutcomes({ operations, keepsValues = false }: KeyedWrite, outcomes: Outcomes): Buffer {
  const values: Buffer[] = [];
  const stored = outcomes.map((outcome, i) => {
    const operation = operations[indexOf(outcome, i)]!;
    if (outcome instanceof DatabaseError) return storedError(outcome, operation);
    if (!('entry' in outcome)) return [outcome.kind];
    const { etag, type, size, created, modified, expires, value } = outcome.entry;
    const header = [outcome.kind, etag, type, size, created, modified, expires];
    if (!keepsValues && operation.op !== 'get' && operation.op !== 'incr') return header;
    values.push(value);
    return [...header, value.length];
  });
  const json = Buffer.from(JSON.stringify(stored));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, ...values]);
}

/**
 * Returns what `encodeOutcomes` was given for these operations, of which whoever wants to know no more gives none. Values are
 * views of `bytes`.
 * @throws DatabaseError `idempotency-mismatch` where a server with other settings took other operations of the request
 */
export function decodeOutcomes(operations: readonly BatchOperation[], bytes: Buffer): Outcomes {
  if (operations.length === 0) return [];
  let at = LENGTH_BYTES + bytes.readUInt32LE(0);
  const stored = JSON.parse(bytes.toString('utf8', LENGTH_BYTES, at)) as Stored[];
  const refusal = stored.length === 1 && stored[0]![0] === '!';
  if (stored.length !== operations.length && !refusal) throw idempotencyMismatch();
  return stored.map((each, i): Outcome | DatabaseError => {
    if (each[0] === '!') return errorOf(each, operations[each[3].index ?? i]!);
    if (each.length === 1) return { kind: each[0] };
    const [kind, etag, type, size, created, modified, expires, length = 0] = each;
    const { key } = operations[i]!;
    const value = length ? bytes.subarray(at, (at += length)) : NO_VALUE;
    const entry: Entry = { key, etag, type, size, created, modified, expires, value };
    return { kind, entry };
  });
}

/** The refusal of an atomic batch stands alone. */
function indexOf(outcome: Outcome | DatabaseError, i: number): number {
  return outcome instanceof DatabaseError ? (outcome.context.index ?? i) : i;
}

function storedError({ code, detail, context }: DatabaseError, { key }: BatchOperation): StoredError {
  const { keys, ...others } = context;
  const named = keys && { keys: keys.map((each) => (each === key ? KEY_MARK : each)) };
  return ['!', code, detail.replace(`\`${key}\``, `\`${KEY_MARK}\``), { ...others, ...named }];
}

function errorOf([, code, detail, context]: StoredError, { key }: BatchOperation): DatabaseError {
  if (code === 'missing-key' && context.index === undefined) return new MissingKeyError(key);
  const { keys, ...others } = context;
  const named = keys && { keys: keys.map((each) => (each === KEY_MARK ? key : each)) };
  return new DatabaseError(
    code,
    detail.replace(`\`${KEY_MARK}\``, () => `\`${key}\``),
    { ...others, ...named },
  );
}
