import { giveWay } from '../../../event-loop.js';
import { boundsOf, isInRange, type KeyRange } from '../../key-range.js';
import type { Moment, SinceThen } from '../../past.js';
import { formatTag, parseTag } from '../../revision.js';
import { expiresOf, revisionOf } from '../record.js';
import { LARGE_READ_BYTES, type Store } from '../store.js';
import { removalsIn } from './removals.js';

const AT_ONCE = 256;

type Changed = SinceThen['changed'][number];

/**
 * Visits the keys of a range that have changed between two moments: those that have an entry, then those that were removed. It
 * holds no snapshot, so that it may take long: what has changed after `begin` is told by its sequence.
 * @param tagAtBegin returns the tag of the entry that a key had then
 */
export async function* changedSince(
  store: Store,
  range: KeyRange,
  moment: Moment,
  begin: Moment,
  tagAtBegin: (key: string) => Promise<string | undefined>,
): AsyncIterable<SinceThen> {
  const [from, to] = [moment, begin].map(({ position }) => parseTag(position)!.sequence) as [number, number];
  const { start, end } = boundsOf(range);
  for (let after: string | undefined, more = true; more;) {
    store.freshen();
    const found: (Changed & { readonly isNewer: boolean })[] = [];
    let visited = 0;
    let unchanged = 0;
    const here = after === undefined ? start : `${after}\0`;
    for (const { key, value } of store.entries.getRangeUpTo(LARGE_READ_BYTES, { start: here, end })) {
      store.checkOrder(after, (after = key as string));
      const record = typeof value === 'number' ? store.entries.borrow(key)! : value;
      const { epoch, sequence } = revisionOf(record) ?? { epoch: 0, sequence: to };
      const expires = expiresOf(record);
      const isLive = expires === 0 || expires > begin.time!;
      if (sequence > from)
        found.push({
          key: after,
          etag: isLive ? formatTag(epoch, sequence) : undefined,
          isNewer: sequence > to,
        });
      else if (isLive) unchanged++;
      if (++visited === AT_ONCE) break;
    }
    more = visited === AT_ONCE;
    const changed: Changed[] = [];
    for (const { key, etag, isNewer } of found)
      changed.push({ key, etag: isNewer ? await tagAtBegin(key) : etag });
    yield { changed, unchanged };
    await giveWay();
  }
  yield* removedSince(store, range, from, to, tagAtBegin);
}

async function* removedSince(
  store: Store,
  range: KeyRange,
  from: number,
  to: number,
  tagAtBegin: (key: string) => Promise<string | undefined>,
): AsyncIterable<SinceThen> {
  let last: string | undefined;
  for (let place: Buffer | undefined, more = true; more;) {
    store.freshen();
    const found: string[] = [];
    let visited = 0;
    more = false;
    for (const { removal, key, sequence } of removalsIn(store, range.prefix, place)) {
      place = removal;
      if ((more = visited++ === AT_ONCE)) break;
      if (sequence <= from || sequence > to || key === last || !isInRange(key, range)) continue;
      found.push((last = key));
    }
    const changed: Changed[] = [];
    // One that had an entry has been visited.
    for (const key of found)
      if ((await tagAtBegin(key)) === undefined) changed.push({ key, etag: undefined });
    yield { changed, unchanged: 0 };
    await giveWay();
  }
}
