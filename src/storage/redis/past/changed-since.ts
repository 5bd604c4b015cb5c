import { isInRange, type KeyRange } from '../../key-range.js';
import type { SinceThen } from '../../past.js';
import { NO_BYTES, readParts } from '../parts.js';
import type { Partition } from '../partitions.js';
import { sequenceOf } from '../position.js';
import { decodeHeader } from '../record.js';
import type { RedisStore } from '../store.js';
import { catchUp, removalsIn } from './removals.js';

const AT_ONCE = 256;

type Changed = SinceThen['changed'][number];
type TagAtBegin = (key: string) => Promise<string | undefined>;

/** Sequences of a partition: the last change before a moment, and the last one before the visit begins. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/**
 * Visits the keys of a range in one partition that have changed between two moments: those that have an entry, then those that were
 * removed. What has changed since it began is told by its sequence.
 * @param tagAtBegin returns the tag of the entry that a key had then
 */
export async function* changedSince(
  store: RedisStore,
  partition: Partition,
  range: KeyRange,
  span: Span,
  tagAtBegin: TagAtBegin,
): AsyncIterable<SinceThen> {
  const query = { ...range, reverse: false, delimiter: '', valueBytes: NO_BYTES, maxValue: NO_BYTES };
  for (let after: string | undefined, more = true; more;) {
    const [part] = await readParts(store, [{ partition, after }], query, AT_ONCE);
    const entries = part!.items.map(({ name, header, size }) => decodeHeader(name, header!, size));
    const changed = entries.filter(({ etag }) => sequenceOf(etag) > span.from);
    yield {
      changed: await Promise.all(
        changed.map(async ({ key, etag }): Promise<Changed> => {
          return { key, etag: sequenceOf(etag) > span.to ? await tagAtBegin(key) : etag };
        }),
      ),
      unchanged: entries.length - changed.length,
    };
    after = part!.end;
    more = after !== undefined;
  }
  yield* removedSince(store, partition, range, span, tagAtBegin);
}

async function* removedSince(
  store: RedisStore,
  partition: Partition,
  range: KeyRange,
  { from, to }: Span,
  tagAtBegin: TagAtBegin,
): AsyncIterable<SinceThen> {
  await catchUp(store, partition);
  let last: string | undefined;
  for await (const removals of removalsIn(store, partition, range)) {
    const keys: string[] = [];
    for (const { key, sequence } of removals)
      if (sequence > from && sequence <= to && key !== last && isInRange(key, range)) keys.push((last = key));
    const tags = await Promise.all(keys.map(tagAtBegin));
    // One that had an entry has been visited.
    const absent = keys.filter((_, i) => tags[i] === undefined);
    yield { changed: absent.map((key) => ({ key, etag: undefined })), unchanged: 0 };
  }
}
