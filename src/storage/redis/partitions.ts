/*
 * Where everything lies in Redis.
 *
 * Problem: a cluster spreads keys over 16384 hash slots and changes only keys of one slot together, but an entry, its
 * place in the order, its expiry and its line in the change log have to change together. Design: a database has a fixed
 * number of partitions, and everything of a partition has a name that begins with the same `{tag}`, which Redis places in
 * one slot (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec, hash tags). A user's key belongs to
 * the partition of its own hash slot, so that keys of one `{tag}` share a partition. The tags are chosen so that
 * partition i of n has the slot i · 16384 / n: even over any number of primaries up to n, by construction.
 *
 * Of each partition, behind its tag:
 *
 *   e<key>  hash    h: the header (operations.ts), v: the value
 *   i       zset    the keys, all with score 0: in the order of their bytes
 *   x       zset    the keys that expire, by their time
 *   l       stream  the change log; an id is the sequence of the change
 *   s       hash    tag: of the last change; now: the highest time seen; floor, count, bytes: of the log
 *   t       hash    where a script adds 64-bit integers
 *
 * And once for the database: `pigeonhole`, a hash of its format, number of partitions and epoch; and in partition 0
 * `system`, a hash of the private records.
 */
import { closedTagOf, hashTagOf, slotOf, SLOTS } from './cluster-client/slots.js';

/** What identifies a database of ours. */
export const META = 'pigeonhole';

/** The names of one partition. */
export interface Partition {
  readonly id: number;
  readonly slot: number;
  readonly state: string;
  readonly index: string;
  readonly expiry: string;
  readonly log: string;
  readonly scratch: string;
  /** Before the name of an entry. */
  readonly entries: string;
  /** What every script on the partition is told, in this order. */
  readonly names: readonly string[];
}

/** The partitions of a database. */
export class Partitions {
  readonly partitions: readonly Partition[];

  constructor(count: number) {
    this.partitions = tagsOfSlots(count).map(([slot, tag], id) => {
      const [state, index, expiry, log, scratch] = ['s', 'i', 'x', 'l', 't'].map((name) => `{${tag}}${name}`);
      const names = [state!, index!, expiry!, log!, scratch!];
      return {
        id,
        slot,
        state: state!,
        index: index!,
        expiry: expiry!,
        log: log!,
        scratch: scratch!,
        names,
        entries: `{${tag}}e`,
      };
    });
  }

  partitionOf(key: string): Partition {
    return this.partitionOfTag(hashTagOf(key));
  }

  /** The partitions that can hold keys beginning with `prefix`: one if the prefix has a whole `{tag}`, else all. */
  partitionsOf(prefix: string): readonly Partition[] {
    const tag = closedTagOf(prefix);
    return tag === undefined ? this.partitions : [this.partitionOfTag(tag)];
  }

  /** Where the private records of the server are. */
  get system(): { readonly partition: Partition; readonly name: string } {
    const [partition] = this.partitions;
    return { partition: partition!, name: `${partition!.state.slice(0, -1)}system` };
  }

  private partitionOfTag(tag: string): Partition {
    return this.partitions[Math.floor((slotOf(tag) * this.partitions.length) / SLOTS)]!;
  }
}

/** For each of `count` partitions its slot and the shortest tag found that lies there. */
function tagsOfSlots(count: number): [slot: number, tag: string][] {
  const missing = new Map(Array.from({ length: count }, (_, i) => [Math.floor((i * SLOTS) / count), '']));
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
