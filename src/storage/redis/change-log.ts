import type { Change } from '../storage-engine.js';
import type { RedisStore } from './store.js';
import type { Partition } from './partitions.js';
import { headerOf } from './record.js';
import { decodePosition, encodePosition, markOf, sequenceOf, type Mark } from './position.js';
import { CHANGES } from './scripts.js';
import { WakeUps } from './wake-ups.js';

const READ_BYTES = 256 * 1024;

/**
 * The change logs of all partitions as one.
 *
 * Problem: a partition's log is a stream of its own, and asking hundreds of streams for every change would cost more than
 * the changes. Design: this server remembers the last tag that it knows of each partition, from its own writes, from the
 * messages that scripts publish, and from a look at all of them once a second, because messages can be lost. Only
 * partitions that have moved past a reader's position are read. Guarantee: a position that `position` answers, and every
 * change that has been read behind one, is complete as far as this server knew when it was asked; nobody who follows is
 * told less than what has been read already.
 */
export class RedisChangeLog {
  private readonly tags: string[];
  private readonly listeners = new Set<() => void>();
  private readonly wakeUps: WakeUps;
  private announced = false;
  /** The last position that was asked about: a reader asks for each of many changes. */
  private decoded: { position: string; marks: readonly Mark[] | undefined } | undefined;

  constructor(private readonly database: RedisStore) {
    this.tags = database.layout.partitions.map(() => '');
    this.wakeUps = new WakeUps(database, (partition, tag) => this.heard(partition, tag));
    database.onChange = (partition, tag) => this.heard(partition, tag);
  }

  async position(): Promise<string> {
    await this.lookAround();
    return encodePosition(this.database.epoch, this.tags.map(markOf));
  }

  async changes(position: string): Promise<Change[] | undefined> {
    const { epoch, layout } = this.database;
    const marks = this.decode(position);
    if (!marks) return undefined;
    if (this.listeners.size === 0) await this.lookAround();
    const moved = layout.partitions.filter(({ id }) => !isSame(marks[id]!, markOf(this.tags[id]!)));
    const parts = await Promise.all(moved.map((partition) => this.read(partition, marks[partition.id]!)));
    if (parts.includes(undefined)) return undefined;
    return withPositions(epoch, marks, parts.flat() as LoggedChange[]);
  }

  covers(position: string, change: Pick<Change, 'key' | 'etag'>): boolean {
    const marks = this.decode(position);
    const { id } = this.database.layout.partitionOf(change.key);
    return marks !== undefined && sequenceOf(change.etag) <= marks[id]!.sequence;
  }

  includes(position: string, other: string): boolean {
    const marks = this.decode(position);
    const others = this.decode(other);
    if (!marks || !others) return false;
    return others.every(({ sequence }, i) => sequence <= marks[i]!.sequence);
  }

  onChange(listener: () => void): () => void {
    if (this.listeners.size === 0) this.wakeUps.open();
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.close();
    };
  }

  /** Slots have moved, and the channels with them. */
  moved(): void {
    this.wakeUps.renew();
  }

  /** Takes in the last tag of a partition, which `ask` asks for. */
  async look(partition: Partition, ask: () => Promise<string>): Promise<void> {
    const known = this.tags[partition.id];
    const tag = await ask();
    // A failover may have taken the last changes back, so that an older tag is news too; unless a newer one came meanwhile.
    if (tag !== known && this.tags[partition.id] === known) this.take(partition, tag);
  }

  close(): void {
    this.wakeUps.close();
  }

  private decode(position: string): readonly Mark[] | undefined {
    if (this.decoded?.position !== position) {
      const { epoch, layout } = this.database;
      this.decoded = { position, marks: decodePosition(position, epoch, layout.partitions.length) };
    }
    return this.decoded.marks;
  }

  private async lookAround(): Promise<void> {
    const { database } = this;
    await database.each((partition) => this.look(partition, () => database.tagOf(partition)));
  }

  /** A message may come late. */
  private heard(partition: Partition, tag: string): void {
    if (tag !== '' && sequenceOf(tag) > markOf(this.tags[partition.id]!).sequence) this.take(partition, tag);
  }

  private take({ id }: Partition, tag: string): void {
    this.tags[id] = tag;
    if (this.announced || this.listeners.size === 0) return;
    this.announced = true;
    setImmediate(() => {
      this.announced = false;
      for (const listener of this.listeners) listener();
    });
  }

  private async read(partition: Partition, { sequence, random }: Mark): Promise<LoggedChange[] | undefined> {
    const reply = await this.database.ask(partition, CHANGES, [String(sequence), random, String(READ_BYTES)]);
    if (!reply) return undefined;
    const [tag, changes] = reply as [Buffer, Buffer[][]];
    this.heard(partition, tag.toString('latin1'));
    return changes.map((fields) => decodeChange(partition, fields));
  }
}

type LoggedChange = Omit<Change, 'position'> & { readonly partition: number };

/** The fields of a line of the log: what happened, the key, and header and value (or its size) or the tag. */
function decodeChange({ id }: Partition, [, kind, , name, field, text, last, value]: Buffer[]): LoggedChange {
  const key = name!.toString();
  if (field!.toString('latin1') === 'e') {
    return {
      partition: id,
      kind: kind!.toString('latin1') as Change['kind'],
      key,
      etag: text!.toString('latin1'),
    };
  }
  const isWhole = last!.toString('latin1') === 'v';
  const entry = headerOf(key, text!, isWhole ? value!.length : Number(value!.toString('latin1')));
  return { partition: id, kind: 'put', key, etag: entry.etag, entry, value: isWhole ? value : undefined };
}

/** Each change knows how far a reader is who has seen it and those before it; that is computed when somebody asks. */
function withPositions(epoch: number, from: readonly Mark[], changes: readonly LoggedChange[]): Change[] {
  return changes.map(({ partition: _partition, ...change }, index) => ({
    ...change,
    get position() {
      const marks = [...from];
      for (const { partition, etag } of changes.slice(0, index + 1)) marks[partition] = markOf(etag);
      return encodePosition(epoch, marks);
    },
  }));
}

function isSame(a: Mark, b: Mark): boolean {
  return a.sequence === b.sequence && a.random === b.random;
}
