import type { Entry } from './entry.js';
import { isInRange, type KeyRange } from './key-range.js';
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
} from './past.js';
import { formatTag, parseTag } from './revision.js';
import type { MemoryChange, MemoryLog } from './memory-log.js';
import type { Change } from './storage-engine.js';

/** A database in memory as it is. */
interface Present {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly log: MemoryLog;
  readonly position: string;
  readonly now: number;
}

/** The past of a database in memory. It looks through the whole log for everything. */
export class MemoryPast implements Past {
  constructor(private readonly present: () => Present) {}

  find(name: MomentName): Moment | undefined {
    const { log, position, now } = this.present();
    if ('tag' in name) {
      const revision = parseTag(name.tag);
      if (!revision) return undefined;
      const isOurs = revision.epoch === parseTag(position)!.epoch && name.tag <= position;
      return { position: name.tag, time: undefined, isReached: isOurs && revision.sequence >= log.floor };
    }
    const time = Math.min(name.time, now);
    const last = log.changes.findLast((change) => change.time <= time);
    const before = formatTag(parseTag(position)!.epoch, log.floor);
    return { position: last?.position ?? before, time, isReached: last !== undefined || !log.isCut };
  }

  async history(
    key: string,
    { after, limit, maxBytes = Infinity }: HistoryQuery,
  ): Promise<HistoryPage | undefined> {
    const moment = after === undefined ? undefined : this.find({ tag: after });
    if (after !== undefined && !moment) return undefined;
    if (moment && !moment.isReached) throw this.gone();
    const changes: PastChange[] = [];
    let bytes = 0;
    for (const change of this.changesOf(key)) {
      if (after !== undefined && change.position >= after) continue;
      if (changes.length === limit || (bytes >= maxBytes && changes.length > 0))
        return { changes, next: changes.at(-1)!.etag, isCut: false };
      changes.push(change);
      bytes += change.value?.length ?? 0;
    }
    return { changes, next: undefined, isCut: this.present().log.isCut };
  }

  async version(key: string, { position, time, isReached }: Moment): Promise<Version> {
    const { entries, log } = this.present();
    const changes = this.changesOf(key);
    const entry = entries.get(key);
    const isSame = entry?.etag === position || (entry && time !== undefined && entry.modified <= time);
    if (!isReached && !isSame) throw this.gone();
    const at = changes.findIndex((change) => change.position <= position);
    const before = at < 0 ? [] : changes.slice(at + 1);
    const after = at < 0 ? changes : changes.slice(0, at);
    const state = at < 0 && entry && entry.etag <= position ? entry : changes[at];
    // What there was before the log began is not known, unless the first change tells that there was nothing.
    if (!state && after.length > 0 && log.isCut && !after.at(-1)!.creates) throw this.gone();
    const neighbours = {
      predecessor: before.find(isPut)?.etag,
      successor: after.findLast(isPut)?.etag,
    };
    const found = state && ('kind' in state ? state.entry : state);
    if (!found || hadEnded(found, time)) return { entry: undefined, value: undefined, ...neighbours };
    const { value } = state as Change | Entry;
    return { entry: found, value: value && Buffer.from(value), ...neighbours };
  }

  async *since(range: KeyRange, moment: Moment): AsyncIterable<SinceThen> {
    if (!moment.isReached) throw this.gone();
    const { entries, log, now } = this.present();
    const changedKeys = log.changes
      .filter(({ position }) => position > moment.position)
      .map(({ key }) => key);
    const live = [...entries.values()].filter(
      ({ key, expires }) => isInRange(key, range) && (expires === 0 || expires > now),
    );
    const keys = [...new Set(changedKeys)].filter((key) => isInRange(key, range));
    const tags = new Map(live.map(({ key, etag }) => [key, etag]));
    yield {
      changed: keys.map((key) => ({ key, etag: tags.get(key) })),
      unchanged: live.filter(({ etag }) => etag <= moment.position).length,
    };
  }

  /** Newest first. */
  private changesOf(key: string): MemoryChange[] {
    return this.present()
      .log.changes.filter((change) => change.key === key)
      .toReversed();
  }

  private gone() {
    return historyGone(this.present().log.changes[0]?.time);
  }
}

function isPut({ kind }: Change): boolean {
  return kind === 'put';
}
