import type { Change } from '../storage-engine.js';
import type { Partition } from './partitions.js';
import { decodeHeader } from './record.js';

/** A change as its partition has it. */
export type LoggedChange = Omit<Change, 'position'> & { readonly partition: number };

/*
 * A line of the log has fields of one letter, which scripts/common-write.lua writes:
 *
 *   c  what was done: created, updated, delete, expire      v  of a put: the value
 *   k  the key                                              s  of a large put: the value's size in place of the value
 *   e  of a removal: its tag                                t  of a removal: when it was made, ms since 1970
 *   h  of a put: the header of the entry (record.ts)        r  of a batch: what write.lua needs to answer it again
 *   w  the sequence in hexadecimal of the put that made what was replaced or removed, or 0 if there was nothing; then, after a
 *      space, who made the change. What that is for: lmdb/past/key-history.ts. The id of a line is its sequence, which finds it
 *
 * The order of `c`, `k`, `e` or `h`, and `v` or `s` is fixed: earlier versions, which may use the same database at the same time,
 * read them by their places and pass over the rest. Their lines have neither `t` nor `w`.
 */

/** @param before the time of the change before it, which stands for that of a removal that does not say its own */
export function decodeChange({ id }: Partition, fields: readonly Buffer[], before: number): LoggedChange {
  const part = (name: string): Buffer | undefined => {
    const at = fields.findIndex(
      (field, i) => i % 2 === 0 && field.length === 1 && field[0] === name.charCodeAt(0),
    );
    return at < 0 ? undefined : fields[at + 1];
  };
  const key = part('k')!.toString();
  const by = part('w')?.toString('latin1').split(' ')[1];
  const header = part('h');
  if (!header) {
    const kind = part('c')!.toString('latin1') as Change['kind'];
    const time = Number(part('t')?.toString('latin1') ?? before);
    return { partition: id, kind, key, etag: part('e')!.toString('latin1'), time, by };
  }
  const value = part('v');
  const entry = decodeHeader(key, header, value ? value.length : Number(part('s')!.toString('latin1')));
  return { partition: id, kind: 'put', key, etag: entry.etag, time: entry.modified, by, entry, value };
}
