import { giveWay } from '../../../event-loop.js';
import type { Clock } from '../../clock.js';
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
import { formatTag, parseTag, type Revision } from '../../revision.js';
import { LOGGED_VALUE_BYTES } from '../../storage-engine.js';
import { ChangeLogReader } from '../change-log.js';
import type { LoggedChange } from '../logged-change.js';
import { revisionOf, type StoredEntry } from '../record.js';
import type { Store } from '../store.js';
import { changedSince } from './changed-since.js';
import { KeyHistory, type Steps } from './key-history.js';
import { LogLookup } from './log-lookup.js';
import { momentAt } from './moments.js';
import type { RemovalIndexer } from './removal-indexer.js';
import { readMark } from './removals.js';

/** How far the index of removals may be behind before a reader waits for it rather than look through the log. */
const MOST_UNINDEXED = 50_000;
/** Changes among which the version after one is searched. */
const MOST_AFTER = 1000;

/** The past of a store, which its change log tells (storage/past.ts). */
export class LmdbPast implements Past {
  private readonly lookup = new LogLookup();

  /** @param store returns it for a read that sees every acknowledged write */
  constructor(
    private readonly store: () => Store,
    private readonly clock: Clock,
    private readonly indexer: RemovalIndexer,
  ) {}

  find(name: MomentName): Moment | undefined {
    const store = this.store();
    if ('time' in name) return momentAt(store, this.lookup, Math.min(name.time, this.clock.now()));
    const revision = parseTag(name.tag);
    if (!revision) return undefined;
    return { position: name.tag, time: undefined, isReached: this.reaches(store, name.tag, revision) };
  }

  /** Whether the log has every change after a tag, which is one of this life of the database. */
  private reaches(store: Store, tag: string, { epoch, sequence }: Revision): boolean {
    const head = store.readHead();
    if (sequence > head.sequence || sequence < head.log.floor.sequence) return false;
    if (sequence === head.sequence) return epoch === head.epoch;
    const change = this.lookup.find(store, sequence);
    // A batch that was refused leaves a tag without a change.
    return change ? change.epoch === epoch : new ChangeLogReader(store).after(tag) !== undefined;
  }

  async history(key: string, query: HistoryQuery): Promise<HistoryPage | undefined> {
    const { after, limit, maxBytes = Infinity } = query;
    const moment = after === undefined ? undefined : this.find({ tag: after });
    if (after !== undefined && !moment) return undefined;
    if (moment && !moment.isReached) throw this.gone();
    const history = await this.open(key);
    const changes: PastChange[] = [];
    let bytes = 0;
    const steps = after === undefined ? history.all() : history.before(after);
    for (;;) {
      const { done, value } = steps.next();
      if (done) return { changes, next: undefined, isCut: value !== 'nothing' };
      if (!value) {
        await giveWay();
      } else if (changes.length === limit || (bytes >= maxBytes && changes.length > 0)) {
        return { changes, next: changes.at(-1)!.etag, isCut: false };
      } else {
        changes.push(value);
        bytes += value.isLarge ? 0 : (value.entry?.size ?? 0);
      }
    }
  }

  async version(key: string, moment: Moment): Promise<Version> {
    const history = await this.open(key);
    const present = presentAt(this.store(), key, moment);
    if (present) return versionOf(present, moment, await nextPut(history.before(present.etag)));
    if (!moment.isReached) throw this.gone();
    const { sequence } = parseTag(moment.position)!;
    const own = moment.time === undefined ? history.own(sequence) : undefined;
    if (own) {
      const before = await nextPut(history.beforeOwn(own));
      return versionOf(own, moment, before, await putAfter(history, own));
    }
    const steps = history.all();
    let after: string | undefined;
    for (;;) {
      const { done, value } = steps.next();
      if (done) {
        if (value === 'unknown' || !this.has(sequence)) throw this.gone();
        return versionOf(undefined, moment, undefined, after);
      }
      if (!value) await giveWay();
      else if (value.sequence <= sequence) return versionOf(value, moment, await nextPut(steps), after);
      else if (value.kind === 'put') after = value.etag;
    }
  }

  async *since(range: KeyRange, moment: Moment): AsyncIterable<SinceThen> {
    if (!moment.isReached) throw this.gone();
    const begin = { position: this.store().position(), time: this.clock.now(), isReached: true };
    await this.indexer.catchUp();
    yield* changedSince(this.store(), range, moment, begin, async (key) => {
      const { entry } = await this.version(key, begin);
      return entry?.etag;
    });
  }

  /** Opens the history of a key, once the index of removals knows nearly all. */
  private async open(key: string): Promise<KeyHistory> {
    const { sequence } = this.store().readHead();
    if (sequence - readMark(this.store()).indexed > MOST_UNINDEXED) await this.indexer.catchUp();
    return new KeyHistory(this.store(), this.lookup, key);
  }

  /** Whether no change after `sequence` has left the log. */
  private has(sequence: number): boolean {
    return this.store().readHead().log.floor.sequence <= sequence;
  }

  private gone() {
    return historyGone(new ChangeLogReader(this.store()).oldestTime());
  }
}

/** Returns the entry as it is, expired or not, if it has been that since a moment. @throws DatabaseError `corrupt` */
function presentAt(store: Store, key: string, moment: Moment): StoredEntry | undefined {
  const { position, time, isReached } = moment;
  const record = store.entries.getBinary(key);
  const revision = record && revisionOf(record);
  if (!record || !revision) return undefined;
  const isOlder = revision.sequence <= parseTag(position)!.sequence;
  if (isReached && !isOlder) return undefined;
  const isSame = formatTag(revision.epoch, revision.sequence) === position;
  if (!isReached && !isSame && time === undefined) return undefined;
  const entry = store.decode(key, record);
  return isReached || isSame || entry.modified <= time! ? entry : undefined;
}

/** Returns the tag of the next put among changes. */
async function nextPut(steps: Steps): Promise<string | undefined> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return undefined;
    if (!value) await giveWay();
    else if (value.kind === 'put') return value.etag;
  }
}

/** Returns the tag of the put after a change, if it is among the newest. */
async function putAfter(history: KeyHistory, own: LoggedChange): Promise<string | undefined> {
  let after: string | undefined;
  let passed = 0;
  for (const change of history.all()) {
    if (!change) await giveWay();
    else if (change.sequence <= own.sequence) return after;
    else if (++passed > MOST_AFTER) return undefined;
    else if (change.kind === 'put') after = change.etag;
  }
  return undefined;
}

/** @param state the entry, or the change that the key was left in; undefined if it was absent */
function versionOf(
  state: StoredEntry | LoggedChange | undefined,
  { time }: Moment,
  predecessor: string | undefined,
  successor?: string,
): Version {
  const entry = state && ('kind' in state ? state.entry : state);
  if (!state || !entry || hadEnded(entry, time))
    return { entry: undefined, value: undefined, predecessor, successor };
  const isKept = entry.size <= LOGGED_VALUE_BYTES;
  // A view would keep the whole segment in memory.
  const value = isKept ? Buffer.from(state.value!) : undefined;
  return { entry, value, predecessor, successor };
}
