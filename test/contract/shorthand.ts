import { createHash } from 'node:crypto';
import { DatabaseError, type ErrorContext } from '../../src/errors.js';
import type { Condition } from '../../src/storage/condition.js';
import { TEXT, type Entry, type EntryHeader } from '../../src/storage/entry.js';
import type { Expiry, BatchOperation, Outcome } from '../../src/storage/operation.js';
import type { Awaitable, RangePage, RangeQuery, StorageEngine } from '../../src/storage/storage-engine.js';

interface PutOptions {
  readonly type?: string;
  readonly expiry?: Expiry;
  readonly condition?: Condition;
}

/** A key that shares its `{tag}` with all others made here: every engine does atomic batches over them. */
export function tied(name: string): string {
  return `{t}${name}`;
}

export function putOf(key: string, value: string | Buffer, options: PutOptions = {}): BatchOperation {
  const { type = TEXT, expiry = 'never', condition } = options;
  return { op: 'put', key, value: Buffer.from(value as string), type, expiry, condition };
}

export function incrOf(key: string, by: bigint, expiry: Expiry = 'never'): BatchOperation {
  return { op: 'incr', key, by, expiry };
}

/** Puts and gives back the entry. */
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
  if (!('entry' in outcome)) throw new Error(`no entry came of it, but ${outcome.kind}`);
  return outcome.entry;
}

export function kindOf(outcome: Outcome | DatabaseError): string {
  return outcome instanceof DatabaseError ? outcome.code : outcome.kind;
}

export async function textOf(engine: StorageEngine, key: string): Promise<string | undefined> {
  return (await engine.get(key))?.value.toString();
}

/** Everything but the value, as plain data: an engine may give getters. */
export function headerOf({ key, type, size, etag, created, modified, expires }: EntryHeader): EntryHeader {
  return { key, type, size, etag, created, modified, expires };
}

/** The code and the context that `work` is refused with. */
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

export async function scanned(engine: StorageEngine, prefix = '', values = true): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const chunk of engine.scan({ prefix, values })) entries.push(...chunk);
  return entries;
}

export async function keysScanned(engine: StorageEngine, prefix = ''): Promise<string[]> {
  return (await scanned(engine, prefix)).map(({ key }) => key);
}

/** Keys and group names of a page, in one list each. */
export async function namesOf(engine: StorageEngine, query: Partial<RangeQuery> = {}): Promise<string[]> {
  const page = await engine.range({ prefix: '', limit: 1000, ...query });
  return [...page.items.map(({ key }) => key), ...page.groups];
}

/** Follows `next` to the end; a paging that does not end fails. */
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

/** Waits for what an engine does in the background, by real time. */
export async function eventually(holds: () => Awaitable<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 100 && !(await holds()); tries++) await pause(50);
  return holds();
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Everything about entries as small plain data: a digest stands for each value. */
export function portraitsOf(entries: readonly Entry[]): (EntryHeader & { sha256: string })[] {
  return entries.map((entry) => ({
    ...headerOf(entry),
    sha256: createHash('sha256').update(entry.value).digest('hex'),
  }));
}
