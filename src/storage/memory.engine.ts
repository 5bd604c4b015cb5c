import { DatabaseError } from '../errors.js';
import { giveWay } from '../event-loop.js';
import { Clock } from './clock.js';
import type { Entry, EntryHeader } from './entry.js';
import type { Applier, FoundLimit, IdempotencySettings, KeyedAnswer, KeyedWrite } from './idempotency.js';
import { compareKeys, isInRange, type KeyRange } from './key-range.js';
import { MemoryAnswers } from './memory-answers.js';
import {
  decide,
  FoundBytes,
  type Effect,
  type BatchOperation,
  type Operation,
  type Outcome,
} from './operation.js';
import { moved } from './fence.js';
import { firstSequence, formatTag, nextEpoch, parseTag } from './revision.js';
import { pageOf } from './memory-page.js';
import { MemoryPast } from './memory-past.js';
import { MemoryLog } from './memory-log.js';
import { copyOf, eachAlone, MemoryRecords } from './memory-records.js';
import type { RecentChange } from './recent-change.js';
import {
  LOGGED_VALUE_BYTES,
  StorageEngine,
  type Change,
  type EngineState,
  type EngineStats,
  type LogPage,
  type RangeCount,
  type RangePage,
  type RangeQuery,
  type ScanRange,
} from './storage-engine.js';

const SWEEP_EVERY_MS = 500;
const CHUNK_ENTRIES = 256;

/** The last epoch in this process: engines that are created within one second must not share it. */
let lastEpoch = 0;

/**
 * Keeps everything in a Map, which ends with the process. For trying things out, and as the simple engine that the tests
 * compare the others with: ranges, scans and counts sort all keys every time, and nothing else happens meanwhile.
 */
export class MemoryEngine extends StorageEngine implements Applier {
  readonly capabilities = {
    durable: false,
    orderedTags: true,
    snapshots: true,
    atomicAcrossKeys: true,
    totalOrder: true,
    backup: false,
  };

  private entries = new Map<string, Entry>();
  private readonly epoch: number;
  private sequence: number;
  private readonly log: MemoryLog;
  private readonly listeners = new Set<() => void>();
  private sweeper: NodeJS.Timeout | undefined;
  private place: string | undefined;
  readonly system = new MemoryRecords(() => this.assertUnmoved());
  readonly past = new MemoryPast(() => ({
    entries: this.entries,
    log: this.log,
    position: this.position(),
    now: this.now(),
  }));

  private readonly answers: MemoryAnswers;

  constructor(
    private readonly clock = new Clock(),
    settings: IdempotencySettings = {},
  ) {
    super();
    this.answers = new MemoryAnswers(settings);
    const now = clock.now();
    this.epoch = nextEpoch(now, lastEpoch);
    this.sequence = firstSequence(now);
    this.log = new MemoryLog(this.sequence);
    lastEpoch = this.epoch;
  }

  async open(): Promise<void> {
    this.sweeper = setInterval(() => this.sweep(), SWEEP_EVERY_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.sweeper);
  }

  now(): number {
    return this.clock.now();
  }

  get(key: string): Entry | undefined {
    const entry = this.live(this.entries.get(key));
    return entry && copyOf(entry, true);
  }

  head(key: string): EntryHeader | undefined {
    return this.live(this.entries.get(key));
  }

  async write(operation: Operation): Promise<Outcome> {
    this.assertUnmoved();
    return this.apply(operation);
  }

  async batch(
    operations: readonly BatchOperation[],
    atomic: boolean,
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]> {
    this.assertUnmoved();
    return atomic ? this.applyAll(operations, maxBytes) : this.applyEach(operations, maxBytes);
  }

  async writeOnce(write: KeyedWrite): Promise<KeyedAnswer> {
    this.assertUnmoved();
    return this.answers.write(write, this, this.now());
  }

  recall(write: Pick<KeyedWrite, 'key' | 'operations'>): KeyedAnswer | undefined {
    return this.answers.find(write, this.now());
  }

  applyEach(
    operations: readonly BatchOperation[],
    ...[maxBytes, refusal]: Partial<FoundLimit>
  ): (Outcome | DatabaseError)[] {
    return eachAlone(operations, (each) => this.apply(each), new FoundBytes(maxBytes, undefined, refusal));
  }

  applyAll(operations: readonly BatchOperation[], ...[maxBytes, refusal]: Partial<FoundLimit>): Outcome[] {
    const found = new FoundBytes(maxBytes, undefined, refusal);
    const before = new Map(this.entries);
    const position = this.position();
    return operations.map((operation, index) => {
      try {
        const outcome = this.apply(operation);
        found.add(outcome);
        return outcome;
      } catch (error) {
        // The sequence is not taken back: the error may name a tag of the batch.
        this.entries = before;
        this.log.undoAfter(position);
        throw error instanceof DatabaseError ? error.with({ index }) : error;
      }
    });
  }

  range(query: RangeQuery): RangePage {
    return { ...pageOf(this.sorted(query, query.reverse ? -1 : 1), query), position: this.position() };
  }

  async *scan(range: ScanRange): AsyncIterable<readonly Entry[]> {
    const snapshot = this.sorted(range, 1);
    range.onPosition?.(this.position());
    for (let i = 0; i < snapshot.length; i += CHUNK_ENTRIES) {
      yield snapshot.slice(i, i + CHUNK_ENTRIES).map((entry) => copyOf(entry, range.values));
      await giveWay();
    }
  }

  count(range: KeyRange): RangeCount {
    return { keys: this.sorted(range, 1).length, position: this.position() };
  }

  position(): string {
    return formatTag(this.epoch, this.sequence);
  }

  changes(position: string): LogPage | undefined {
    const from = parseTag(position);
    if (from?.epoch !== this.epoch || position > this.position() || from.sequence < this.log.floor)
      return undefined;
    const changes = this.log.after(position);
    return { changes, position: changes.at(-1)?.position ?? position };
  }

  newestChanges(limit: number, prefix: string): RecentChange[] {
    return this.log.newest(limit, prefix);
  }

  covers(position: string, change: Pick<Change, 'position'>): boolean {
    return change.position <= position;
  }

  includes(position: string, other: string): boolean {
    return other <= position;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  stats(): EngineStats {
    return {
      entries: this.entries.size,
      storedBytes: [...this.entries.values()].reduce((sum, { size }) => sum + size, 0),
      availableBytes: undefined,
      freeBytes: undefined,
      logBytes: this.log.bytes,
      oldestChange: this.log.changes[0]?.time,
    };
  }

  state(): EngineState {
    return { ready: true, notes: ['The database is in memory only and ends with this process.'] };
  }

  peers(): number {
    return 0;
  }

  fence(): string | undefined {
    return this.place;
  }

  async setFence(place: string | undefined): Promise<void> {
    this.place = place;
  }

  async backup(): Promise<never> {
    throw new DatabaseError('not-supported', 'An export (application/x-ndjson) keeps what is in memory.');
  }

  private assertUnmoved(): void {
    if (this.place !== undefined) throw moved(this.place);
  }

  private live(entry: Entry | undefined): Entry | undefined {
    return entry && entry.expires !== 0 && entry.expires <= this.now() ? undefined : entry;
  }

  private sorted(range: KeyRange, direction: 1 | -1): Entry[] {
    return [...this.entries.values()]
      .filter((entry) => isInRange(entry.key, range) && this.live(entry))
      .sort((a, b) => compareKeys(a.key, b.key) * direction);
  }

  apply(operation: Operation): Outcome {
    const now = this.now();
    const { key, by } = operation;
    const current = this.live(this.entries.get(key));
    const effect = decide(operation, current, now);
    if (!current && this.entries.delete(key)) this.logChange('expire', key, now);
    if (effect.kind === 'none') return effect.outcome;
    if (effect.kind === 'remove') {
      this.entries.delete(key);
      this.logChange('delete', key, now, by);
      return effect.outcome;
    }
    const entry = this.store(key, effect, now, by, current === undefined);
    return { kind: current ? 'updated' : 'created', entry };
  }

  /** Logs a change. A put has its revision already; other changes take the next one. */
  private logChange(
    kind: Change['kind'],
    key: string,
    time: number,
    by?: string,
    entry?: Entry,
    creates = false,
  ): void {
    const position = formatTag(this.epoch, entry ? this.sequence : ++this.sequence);
    const value = entry && entry.size <= LOGGED_VALUE_BYTES ? entry.value : undefined;
    this.log.add({ position, kind, key, etag: position, time, by, entry, value, creates });
    for (const listener of this.listeners) setImmediate(listener);
  }

  private store(
    key: string,
    effect: Extract<Effect, { kind: 'write' }>,
    now: number,
    by: string | undefined,
    creates: boolean,
  ): Entry {
    const { value, type, created, expires } = effect;
    const etag = formatTag(this.epoch, ++this.sequence);
    const entry = { key, value, type, size: value.length, etag, created, modified: now, expires };
    const stored = copyOf(entry, true);
    this.entries.set(key, stored);
    this.logChange('put', key, now, by, stored, creates);
    return entry;
  }

  private sweep(): void {
    for (const entry of this.entries.values()) {
      if (this.place !== undefined || this.live(entry)) continue;
      this.entries.delete(entry.key);
      this.logChange('expire', entry.key, this.now());
    }
  }
}
