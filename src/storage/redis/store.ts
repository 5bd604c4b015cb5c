import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import { LOGGED_VALUE_BYTES } from '../storage-engine.js';
import type { Reply } from './cluster-client/connection.js';
import { Partitions, type Partition } from './partitions.js';
import type { Call, ClusterClient } from './cluster-client/cluster-client.js';
import type { Script } from './cluster-client/script.js';
import { WRITE, SWEEP } from './scripts.js';

/** What is kept of the change log in all, and what of it falls to one partition. */
const MAX_LOGGED = 100_000;
/** Hexadecimal digits that end a tag. */
const RANDOM_DIGITS = 12;
/** Drawn at once: a call for six bytes costs as much as one for thousands. */
const DRAWN_BYTES = 6 * 1024;

interface WriteOptions extends Pick<Call, 'repeatable' | 'due'> {
  readonly atomic: boolean;
  /** Bytes of values that may be found. */
  readonly maxFound: number;
}

/** One database in Redis: its layout, and how its partitions are spoken to. */
export class RedisStore {
  readonly layout: Partitions;
  private readonly log: readonly string[];
  private readonly epochText: string;
  private drawn = '';
  private used = 0;

  constructor(
    readonly nodes: ClusterClient,
    readonly clock: Clock,
    /** Of the tags and positions: when the database was made, seconds since 1970. */
    readonly epoch: number,
    partitions: number,
    watchLogBytes: number,
  ) {
    this.layout = new Partitions(partitions);
    this.epochText = epoch.toString(16).padStart(8, '0');
    this.log = [
      String(Math.ceil(MAX_LOGGED / partitions)),
      String(Math.ceil(watchLogBytes / partitions)),
      String(LOGGED_VALUE_BYTES),
    ];
  }

  /** A command on a key of the partition that changes nothing. */
  async read(partition: Partition, ...args: (string | Buffer)[]): Promise<Reply> {
    return this.nodes.run({ slot: partition.slot, args, repeatable: 'repeatable' });
  }

  /** A command that may be repeated without harm. */
  async change(partition: Partition, ...args: (string | Buffer)[]): Promise<Reply> {
    return this.nodes.run({ slot: partition.slot, args, repeatable: 'repeatable', write: true });
  }

  /** A script that changes nothing. */
  async ask(partition: Partition, script: Script, args: readonly (string | Buffer)[]): Promise<Reply> {
    return this.nodes.run({
      slot: partition.slot,
      args: call(script, partition.names, [this.now(), ...args]),
      script,
      repeatable: 'repeatable',
    });
  }

  /** Does encoded operations on `entries`. Answers one reply for each, behind the time and the partition's last tag. */
  async write(
    partition: Partition,
    entries: readonly string[],
    operations: readonly (string | Buffer)[],
    { atomic, maxFound, repeatable, due }: WriteOptions,
  ): Promise<readonly Reply[]> {
    const found = String(Math.min(maxFound, Number.MAX_SAFE_INTEGER));
    const args = [...this.changing(), atomic ? '1' : '0', found, ...operations];
    const [now, tag, ...answers] = (await this.nodes.run({
      slot: partition.slot,
      args: call(WRITE, [...partition.names, ...entries], args),
      script: WRITE,
      repeatable,
      write: true,
      due,
    })) as [Buffer, Buffer, ...Reply[]];
    this.heard(now);
    this.onChange?.(partition, tag.toString('latin1'));
    return answers;
  }

  /** The tag of the partition's last change, or nothing. */
  async tagOf(partition: Partition): Promise<string> {
    const tag = (await this.read(partition, 'HGET', partition.state, 'tag')) as Buffer | null;
    return tag?.toString('latin1') ?? '';
  }

  /** Removes what has expired in the partition, up to `most` entries. Answers how many there were, and the last tag. */
  async sweep(partition: Partition, most: number): Promise<{ count: number; tag: string }> {
    const [now, tag, count] = (await this.nodes.run({
      slot: partition.slot,
      args: call(SWEEP, partition.names, [...this.changing(), String(most)]),
      script: SWEEP,
      repeatable: 'repeatable',
    })) as [Buffer, Buffer, number];
    this.heard(now);
    return { count, tag: tag.toString('latin1') };
  }

  /** Believes what the partition has seen of time. */
  async hearTime(partition: Partition): Promise<void> {
    const now = (await this.read(partition, 'HGET', partition.state, 'now')) as Buffer | null;
    if (now) this.heard(now);
  }

  /** Told of the last tag of a partition that this server has changed. */
  onChange: ((partition: Partition, tag: string) => void) | undefined;

  /** Every partition at once. */
  async each<T>(work: (partition: Partition) => Promise<T>): Promise<T[]> {
    return Promise.all(this.layout.partitions.map(work));
  }

  /** Where scripts publish the partition's last tag. Channels are not of one numbered database, so its epoch is in the name. */
  channelOf({ state }: Partition): string {
    return state + this.epochText;
  }

  private changing(): string[] {
    return [this.now(), this.epochText, this.random(), ...this.log];
  }

  private random(): string {
    if (this.used === this.drawn.length) {
      this.drawn = randomBytes(DRAWN_BYTES).toString('hex');
      this.used = 0;
    }
    return this.drawn.slice(this.used, (this.used += RANDOM_DIGITS));
  }

  private now(): string {
    return String(this.clock.now());
  }

  /** Another server's clock may be ahead, and what it has seen has happened. */
  private heard(now: Buffer): void {
    this.clock.raise(Number(now.toString('latin1')));
  }
}

function call(script: Script, keys: readonly string[], args: readonly (string | Buffer)[]) {
  return ['EVALSHA', script.sha, String(keys.length), ...keys, ...args];
}
