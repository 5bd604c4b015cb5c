import { expect } from '@jest/globals';
import type { EntryHeader } from '../../src/storage/entry.js';
import type { Moment, MomentName, PastChange, Version } from '../../src/storage/past.js';
import type { Change, StorageEngine } from '../../src/storage/storage-engine.js';
import { headerOf } from './shorthand.js';

/** What a key was, as plain data. */
export interface PlainVersion {
  readonly entry: EntryHeader | undefined;
  readonly value: string | undefined;
}

/** A change as the model keeps it. Of 100,000 buffers the collector of garbage would have more work than the proof. */
export type KnownChange = ReturnType<typeof known>;
type ShownChange = ReturnType<typeof shown>;

export function known(change: Change) {
  return { ...shown(change), key: change.key };
}

/** The plain model of a past: all changes in a list. */
export class PastModel {
  private readonly ofKey = new Map<string, ShownChange[]>();

  /** @param changes all there have been, oldest first */
  constructor(readonly changes: readonly KnownChange[]) {
    for (const { key, ...change } of changes) {
      const list = this.ofKey.get(key);
      if (list) list.push(change);
      else this.ofKey.set(key, [change]);
    }
  }

  get keys(): string[] {
    return [...this.ofKey.keys()];
  }

  /** Newest first. */
  history(key: string): ShownChange[] {
    return (this.ofKey.get(key) ?? []).toReversed();
  }

  /** What a key was after the change of `tag`, whose key may be another one. */
  atTag(key: string, tag: string): PlainVersion {
    return plainOf(this.ofKey.get(key)?.findLast((change) => change.etag <= tag));
  }

  /** What a reader saw of a key at `time`. */
  atTime(key: string, time: number): PlainVersion {
    const last = this.ofKey.get(key)?.findLast((change) => change.time <= time);
    const isOver = last?.entry && last.entry.expires !== 0 && last.entry.expires <= time;
    return plainOf(isOver ? undefined : last);
  }
}

function plainOf(change: ShownChange | undefined): PlainVersion {
  return { entry: change?.entry, value: change?.value };
}

/** Returns a change as a page of a history shows it. */
export function shown({ kind, etag, time, by, entry, value }: PastChange) {
  return { kind, etag, time, by, entry: entry && headerOf(entry), value: value?.toString('hex') };
}

export function plain({ entry, value }: Version): PlainVersion {
  return { entry: entry && headerOf(entry), value: value?.toString('hex') };
}

export async function momentOf(engine: StorageEngine, name: MomentName): Promise<Moment> {
  const moment = await engine.past.find(name);
  if (!moment) throw new Error(`no moment of ${JSON.stringify(name)}`);
  return moment;
}

export async function versionAt(engine: StorageEngine, key: string, name: MomentName): Promise<Version> {
  return engine.past.version(key, await momentOf(engine, name));
}

/** Reads all pages of the history of a key. */
export async function wholeHistory(engine: StorageEngine, key: string, limit = 1000): Promise<PastChange[]> {
  const changes: PastChange[] = [];
  let after: string | undefined;
  do {
    const page = (await engine.past.history(key, { after, limit }))!;
    expect(page.changes.length).toBeLessThanOrEqual(limit);
    changes.push(...page.changes);
    after = page.next;
  } while (after !== undefined);
  return changes;
}

/** Compares every key with the model: its history, and at each of its tags. Returns how many versions were the same. */
export async function compareVersions(engine: StorageEngine, model: PastModel): Promise<number> {
  let equal = 0;
  for (const key of model.keys) {
    const history = model.history(key);
    const found = await wholeHistory(engine, key);
    const ended = found.length - history.length;
    // What has run out may be swept after the model was made.
    expect(found.splice(0, Math.max(0, ended)).every(({ kind }) => kind === 'expire')).toBe(true);
    expect(found.map(shown)).toEqual(history);
    for (const { etag } of history) {
      expect(plain(await versionAt(engine, key, { tag: etag }))).toEqual(model.atTag(key, etag));
      equal++;
    }
  }
  return equal;
}
