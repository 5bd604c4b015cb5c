import type { EntryHeader } from '../../entry.js';
import type { KeyRange } from '../../key-range.js';
import {
  hadEnded,
  historyGone,
  type HistoryPage,
  type HistoryQuery,
  type Moment,
  type MomentName,
  type Past,
  type PastChange,
  type SinceThen,
  type Version,
} from '../../past.js';
import type { RedisChangeLog } from '../change-log.js';
import { sequenceOf } from '../position.js';
import type { RedisStore } from '../store.js';
import { changedSince } from './changed-since.js';
import { KeyHistory, type StateThen } from './key-history.js';
import { Moments, type Place } from './moments.js';

/**
 * The past of a database in Redis, which the logs of its partitions tell (storage/past.ts).
 *
 * The keys of a partition have one order of changes, as a store in a folder has. Across partitions a moment is a time by the clocks
 * of the servers, or a position; a tag names none there.
 */
export class RedisPast implements Past {
  private readonly moments: Moments;

  constructor(
    private readonly store: RedisStore,
    private readonly log: RedisChangeLog,
  ) {
    this.moments = new Moments(store, log);
  }

  find(name: MomentName): Promise<Moment | undefined> {
    return this.moments.find(name);
  }

  async history(key: string, query: HistoryQuery): Promise<HistoryPage | undefined> {
    const { after, limit, maxBytes = Infinity } = query;
    const history = new KeyHistory(this.store, key);
    let steps = history.upTo(Number.MAX_SAFE_INTEGER, limit + 1);
    let end: number | undefined;
    if (after !== undefined) {
      const moment = await this.find({ tag: after });
      if (!moment) return undefined;
      const { sequence, isReached, oldest } = await this.placeOf(key, moment);
      if (!isReached) throw historyGone(oldest);
      end = sequence;
      steps = history.upTo(sequence, limit + 2);
    }
    const changes: PastChange[] = [];
    let bytes = 0;
    for (;;) {
      const { done, value } = await steps.next();
      if (done) return { changes, next: undefined, isCut: value };
      if (sequenceOf(value.etag) === end) continue;
      if (changes.length === limit || (bytes >= maxBytes && changes.length > 0))
        return { changes, next: changes.at(-1)!.etag, isCut: false };
      changes.push(value);
      bytes += value.value?.length ?? 0;
    }
  }

  async version(key: string, moment: Moment): Promise<Version> {
    const { sequence, isReached, oldest, time } = await this.placeOf(key, moment);
    const last = isReached ? sequence : Number.MAX_SAFE_INTEGER;
    const then = await new KeyHistory(this.store, key).stateAfter(last, time === undefined);
    const { change, isUnknown, floor } = then;
    // What the log does not reach is known of an entry that has not changed since.
    if (isReached ? !change && (isUnknown || floor > sequence) : !isSame(change?.entry, moment))
      throw historyGone(oldest);
    return versionOf(then, time);
  }

  async *since(range: KeyRange, moment: Moment): AsyncIterable<SinceThen> {
    const partitions = this.store.partitions.ofRange(range);
    const places = await Promise.all(partitions.map((each) => this.moments.placeIn(each, moment)));
    const gone = places.find(({ isReached }) => !isReached);
    if (gone) throw historyGone(gone.oldest);
    const position = await this.log.position();
    const begin = { position, time: undefined, isReached: true };
    const tagAtBegin = async (key: string) => (await this.version(key, begin)).entry?.etag;
    for (const [i, partition] of partitions.entries()) {
      const { sequence: to } = await this.moments.placeIn(partition, begin);
      yield* changedSince(this.store, partition, range, { from: places[i]!.sequence, to }, tagAtBegin);
    }
  }

  /** Returns when the first change was made that a log has which has dropped some, or else the first change of all. */
  oldestChange(): Promise<number | undefined> {
    return this.moments.oldest();
  }

  private placeOf(key: string, moment: Moment): Promise<Place> {
    return this.moments.placeIn(this.store.partitions.ofKey(key), moment);
  }
}

function isSame(entry: EntryHeader | undefined, { position, time }: Moment): boolean {
  return entry !== undefined && (time === undefined ? entry.etag === position : entry.modified <= time);
}

function versionOf({ change, predecessor, successor }: StateThen, time: number | undefined): Version {
  const entry = change?.entry;
  if (!entry || hadEnded(entry, time)) return { entry: undefined, value: undefined, predecessor, successor };
  return { entry, value: change.value, predecessor, successor };
}
