import type { KeyRange } from '../key-range.js';
import { hashedPartOf, hashTagOf, slotOf, SLOT_COUNT } from './cluster-client/slots.js';

/*
 * How a database lies in Redis.
 *
 * Problem: a cluster spreads keys over 16384 hash slots and changes only keys of one slot together, but an entry, its
 * index, its expiry and its line in the change log have to change together. Design: a database has a fixed number of
 * partitions, and all Redis keys of a partition begin with the same `{tag}`, which Redis maps to one slot
 * (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec, hash tags). A user's key belongs to the
 * partition of its own hash slot, so user keys of one `{tag}` share a partition. The tags are chosen so that partition i of
 * n has the slot i · 16384 / n: the partitions are spread evenly over any number of primaries up to n.
 *
 * The Redis keys of a partition, after its tag:
 *
 *   e<key>  hash    an entry: h, its header (record.ts), and v, its value
 *   i       zset    the index: all keys with score 0, which Redis orders by their bytes
 *   x       zset    the keys that expire, by time
 *   l       stream  the change log; the id of a line is the sequence of the change
 *   s       hash    the state: tag, of the last change; now, the highest time seen; floor and bytes of the log, and how far it
 *                   is old (common-write.lua); tries, of writes that were sent again (write.lua); moved, where
 *                   the database has moved: its fence
 *   a       hash    the answers to writes with an Idempotency-Key, by the id of the key (answers.lua)
 *   n       zset    those ids, by when their answers end; the state has how many bytes they have: answered
 *   r       zset    the index of removals, with score 0: what was deleted or expired, and when; the state has how far it has been made,
 *                   indexed and swept (removals.lua)
 *   t       hash    scratch space, where a script adds 64-bit integers
 *
 * Once for the database: `pigeonhole`, a hash of its format, number of partitions and epoch, and whether they have begun; and
 * in partition 0 `system`, a hash of the server's private records.
 */

/** The Redis key that makes a database ours. */
export const METADATA_KEY = 'pigeonhole';

export interface Partition {
  readonly id: number;
  readonly slot: number;
  readonly state: string;
  readonly index: string;
  readonly expiry: string;
  readonly log: string;
  readonly scratch: string;
  readonly removals: string;
  /** What precedes a user's key in the Redis key of its entry. */
  readonly entryPrefix: string;
  /** The first KEYS of every script: state, index, expiry, log and scratch. */
  readonly scriptKeys: readonly string[];
}

/** The partitions of a database. */
export class Partitions {
  readonly all: readonly Partition[];

  constructor(count: number) {
    this.all = tagsOfSlots(count).map(([slot, tag], id) => {
      const redisKey = (suffix: string) => `{${tag}}${suffix}`;
      const keys = {
        state: redisKey('s'),
        index: redisKey('i'),
        expiry: redisKey('x'),
        log: redisKey('l'),
        scratch: redisKey('t'),
      };
      const others = { removals: redisKey('r'), entryPrefix: redisKey('e') };
      return { id, slot, ...keys, ...others, scriptKeys: Object.values(keys) };
    });
  }

  ofKey(key: string): Partition {
    return this.ofTag(hashedPartOf(key));
  }

  /** The partitions that can hold keys of a range: one if all its keys begin with the same whole `{tag}`, else all. */
  ofRange({ prefix, from = '', to = '' }: KeyRange): readonly Partition[] {
    // All keys between two begin as both of them do.
    let shared = 0;
    while (shared < to.length && from[shared] === to[shared]) shared++;
    return this.ofPrefix(shared > prefix.length ? to.slice(0, shared) : prefix);
  }

  /** The partitions that can hold keys beginning with `prefix`: one if the prefix has a whole `{tag}`, else all. */
  ofPrefix(prefix: string): readonly Partition[] {
    const tag = hashTagOf(prefix);
    return tag === undefined ? this.all : [this.ofTag(tag)];
  }

  /** Where the server's private records are. */
  get system(): { readonly partition: Partition; readonly hash: string } {
    const [partition] = this.all;
    return { partition: partition!, hash: `${partition!.state.slice(0, -1)}system` };
  }

  private ofTag(tag: string): Partition {
    return this.all[Math.floor((slotOf(tag) * this.all.length) / SLOT_COUNT)]!;
  }
}

/** The slots of `count` partitions, each with the first number, in base 36, that hashes to it. */
function tagsOfSlots(count: number): [slot: number, tag: string][] {
  const missing = new Map(
    Array.from({ length: count }, (_, i) => [Math.floor((i * SLOT_COUNT) / count), '']),
  );
  let left = count;
  for (let number = 0; left > 0; number++) {
    const tag = number.toString(36);
    const slot = slotOf(tag);
    if (missing.get(slot) !== '') continue;
    missing.set(slot, tag);
    left--;
  }
  return [...missing];
}
