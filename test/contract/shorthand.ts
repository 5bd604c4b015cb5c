import { createHash } from 'node:crypto';
import { DatabaseError, type ErrorContext } from '../../src/errors.js';
import type { Condition } from '../../src/storage/condition.js';
import { TEXT, type Entry, type EntryHeader } from '../../src/storage/entry.js';
import type { KeyRange } from '../../src/storage/key-range.js';
import type { Expiry, BatchOperation, Outcome } from '../../src/storage/operation.js';
import type { Change, RangePage, RangeQuery, StorageEngine } from '../../src/storage/storage-engine.js';
import type { Random } from '../support/random.js';

interface PutOptions {
  readonly type?: string;
  readonly expiry?: Expiry;
  readonly condition?: Condition;
}

/** Returns a key that shares its `{tag}` with all others made here, so that every engine can put them in one atomic batch. */
export function tied(name: string): string {
  return `{t}${name}`;
}

export function putOf(key: string, value: string | Buffer, options: PutOptions = {}): BatchOperation {
  const { type = TEXT, expiry = 'never', condition } = options;
  return { op: 'put', key, value: Buffer.from(value as string), type, expiry, condition };
}

export function incrOf(key: string, amount: bigint, expiry: Expiry = 'never'): BatchOperation {
  return { op: 'incr', key, amount, expiry };
}

/** Puts a value and returns the entry. */
export async function put(
  engine: StorageEngine,
  key: string,
  value: string | Buffer,
  options?: PutOptions,
): Promise<Entry> {
  return entryOf(await engine.write(putOf(key, value, options)));
}

export function entryOf(outcome: Outcome | DatabaseError): Entry {
  if (outcome instanceof DatabaseError) throw outcome;
  if (!('entry' in outcome)) throw new Error(`the outcome is ${outcome.kind}, without an entry`);
  return outcome.entry;
}

export function kindOf(outcome: Outcome | DatabaseError): string {
  return outcome instanceof DatabaseError ? outcome.code : outcome.kind;
}

export async function textOf(engine: StorageEngine, key: string): Promise<string | undefined> {
  return (await engine.get(key))?.value.toString();
}

/** Returns everything but the value as plain data, because entries may have getters. */
export function headerOf({ key, type, size, etag, created, modified, expires }: EntryHeader): EntryHeader {
  return { key, type, size, etag, created, modified, expires };
}

/** Returns the code and the context of the error that `work` fails with. */
export async function refusalOf(work: Promise<unknown>): Promise<ErrorContext & { code: string }> {
  try {
    await work;
  } catch (error) {
    if (error instanceof DatabaseError) return { code: error.code, ...error.context };
    throw error;
  }
  return { code: 'not refused' };
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  return (await refusalOf(work)).code;
}

export async function scanned(
  engine: StorageEngine,
  range: string | KeyRange = '',
  values = true,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  const keys = typeof range === 'string' ? { prefix: range } : range;
  for await (const chunk of engine.scan({ ...keys, values })) entries.push(...chunk);
  return entries;
}

export async function keysScanned(engine: StorageEngine, range: string | KeyRange = ''): Promise<string[]> {
  return (await scanned(engine, range)).map(({ key }) => key);
}

/** Returns the keys of a page, then its groups. */
export async function namesOf(engine: StorageEngine, query: Partial<RangeQuery> = {}): Promise<string[]> {
  const page = await engine.range({ prefix: '', limit: 1000, ...query });
  return [...page.items.map(({ key }) => key), ...page.groups];
}

/** Returns how many keys a range has. */
export async function countOf(engine: StorageEngine, range: KeyRange): Promise<number> {
  return (await engine.count(range)).keys;
}

/** Reads all pages of a range. Throws if they do not end. */
export async function pagesOf(engine: StorageEngine, query: RangeQuery): Promise<RangePage[]> {
  const pages: RangePage[] = [];
  let after = query.after;
  do {
    const page = await engine.range({ ...query, after });
    pages.push(page);
    after = page.next;
    if (pages.length > 10_000) throw new Error('paging does not end');
  } while (after !== undefined);
  return pages;
}

export function inByteOrder(keys: readonly string[]): string[] {
  return [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Returns entries as plain data, with a digest in place of each value. */
export function digestsOf(entries: readonly Entry[]): (EntryHeader & { sha256: string })[] {
  return entries.map((entry) => ({
    ...headerOf(entry),
    sha256: createHash('sha256').update(entry.value).digest('hex'),
  }));
}

/** Returns all changes after `position`; undefined if it cannot be served. Throws if the log does not end. */
export async function changesAfter(engine: StorageEngine, position: string): Promise<Change[] | undefined> {
  const all: Change[] = [];
  for (let reads = 0; reads < 10_000; reads++) {
    const page = await engine.changes(position);
    if (!page) return undefined;
    if (page.changes.length === 0) return all;
    all.push(...page.changes);
    position = page.position;
  }
  throw new Error('the log does not end');
}

/** Returns kind and key of all changes after `position`. */
export async function loggedAfter(engine: StorageEngine, position: string): Promise<string[]> {
  return (await changesAfter(engine, position))!.map(({ kind, key }) => `${kind} ${key}`);
}

/** Groups changes by key. Of each key every engine logs them in order. */
export function byKey(changes: readonly Change[]): Map<string, string[]> {
  const kinds = new Map<string, string[]>();
  for (const { kind, key, etag } of changes) kinds.set(key, [...(kinds.get(key) ?? []), `${kind} ${etag}`]);
  return kinds;
}

/** Applies changes to a copy of a database, key → tag. */
export function apply(state: Map<string, string>, changes: readonly Change[]): Map<string, string> {
  for (const { kind, key, etag } of changes) {
    if (kind === 'put') state.set(key, etag);
    else state.delete(key);
  }
  return state;
}

/** Returns key and tag of every entry. */
export async function tagsOf(engine: StorageEngine): Promise<[string, string][]> {
  return (await scanned(engine)).map(({ key, etag }) => [key, etag]);
}

/** Does a random write, which may be refused. Keys have one of eight `{tag}`s. */
export async function writeAtRandom(engine: StorageEngine, random: Random): Promise<void> {
  const group = `k{${random.below(8)}}`;
  const key = `${group}${random.below(5)}`;
  const other = `${group}${random.below(5)}`;
  switch (random.below(6)) {
    case 0:
      return void (await engine.write({ op: 'delete', key }));
    case 1:
      return void (await codeOf(engine.batch([putOf(key, '1'), incrOf(other, 1n), putOf(key, '2')], true)));
    case 2:
      return void (await engine.batch([incrOf(key, 1n), { op: 'delete', key: other }], false));
    case 3:
      return void (await codeOf(engine.write(putOf(key, '1', { condition: { ifNoneMatch: '*' } }))));
    case 4:
      return void (await codeOf(engine.write({ op: 'touch', key, expiry: { in: 60_000 } })));
    default:
      await put(engine, key, 'x'.repeat(random.below(50)));
  }
}
