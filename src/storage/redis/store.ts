import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import { moved } from '../fence.js';
import { LOGGED_VALUE_BYTES } from '../storage-engine.js';
import type { ClusterClient, Command } from './cluster-client/cluster-client.js';
import type { Reply, Script } from './cluster-client/connection.js';
import { Partitions, type Partition } from './partitions.js';
import { SWEEP, SYSTEM, WRITE, WRITE_PAST_FENCE } from './scripts.js';

/** Changes in the logs of all partitions together. */
const MAX_CHANGES = 100_000;
/** The field of a partition's state that is its fence. */
const MOVED = 'moved';
/** Random hexadecimal digits at the end of a tag. */
const RANDOM_DIGITS = 12;
/** Six random bytes cost as much as thousands. */
const RANDOM_BYTES_AT_ONCE = 6 * 1024;

interface WriteOptions extends Pick<Command, 'idempotent' | 'deadline'> {
  readonly atomic: boolean;
  /** Bytes of values that may be found. */
  readonly maxBytes: number;
}

/** One database in Redis: its partitions, and the commands and scripts that run on them. */
export class RedisStore {
  readonly partitions: Partitions;
  /** Called with the last tag of a partition after this server has written to it. */
  onWrite: ((partition: Partition, tag: string) => void) | undefined;
  /** The bounds of a partition's log: changes, bytes, bytes of a logged value. */
  private readonly logBounds: readonly string[];
  private readonly epochText: string;
  private randomPool = '';
  private randomUsed = 0;

  constructor(
    readonly client: ClusterClient,
    readonly clock: Clock,
    /** The time when the database was made, seconds since 1970; part of tags and positions. */
    readonly epoch: number,
    partitions: number,
    watchLogBytes: number,
    private readonly passesFence = false,
  ) {
    this.partitions = new Partitions(partitions);
    this.epochText = epoch.toString(16).padStart(8, '0');
    this.logBounds = [
      String(Math.ceil(MAX_CHANGES / partitions)),
      String(Math.ceil(watchLogBytes / partitions)),
      String(LOGGED_VALUE_BYTES),
    ];
  }

  /** Runs a command that changes nothing. */
  async read(partition: Partition, ...args: (string | Buffer)[]): Promise<Reply> {
    return this.client.run({ slot: partition.slot, args, idempotent: true });
  }

  /** Puts a private record of the server, or deletes it without a `value`. */
  async writeSystem(name: string, value?: Buffer): Promise<void> {
    const { partition, hash } = this.partitions.system;
    const args = [this.passesFence ? '1' : '0', name, ...(value ? [value] : [])];
    const place = (await this.client.run({
      slot: partition.slot,
      args: evalsha(SYSTEM, [partition.state, hash], args),
      script: SYSTEM,
      idempotent: true,
      write: true,
    })) as Buffer | null;
    if (place) throw moved(place.toString());
  }

  async fence(): Promise<string | undefined> {
    const [first] = this.partitions.all;
    return ((await this.read(first!, 'HGET', first!.state, MOVED)) as Buffer | null)?.toString();
  }

  /** Sets the fence in the first partition first, and lifts it there last: that one says whether any has it. */
  async setFence(place: string | undefined): Promise<void> {
    const write = ({ slot, state }: Partition): Promise<Reply> => {
      const args = place === undefined ? ['HDEL', state, MOVED] : ['HSET', state, MOVED, place];
      return this.client.run({ slot, args, idempotent: true, write: true });
    };
    const [first, ...others] = this.partitions.all;
    if (place !== undefined) await write(first!);
    await Promise.all(others.map(write));
    if (place === undefined) await write(first!);
  }

  /** Runs a script that changes nothing. */
  async query(partition: Partition, script: Script, args: readonly (string | Buffer)[]): Promise<Reply> {
    return this.client.run({
      slot: partition.slot,
      args: evalsha(script, partition.scriptKeys, [this.now(), ...args]),
      script,
      idempotent: true,
    });
  }

  /** Runs WRITE with encoded operations on `entries`, which are Redis keys. Returns a reply for each operation. */
  async write(
    partition: Partition,
    entries: readonly string[],
    operations: readonly (string | Buffer)[],
    { atomic, maxBytes, idempotent, deadline }: WriteOptions,
  ): Promise<readonly Reply[]> {
    const limit = String(Math.min(maxBytes, Number.MAX_SAFE_INTEGER));
    const args = [...this.writeArguments(), atomic ? '1' : '0', limit, ...operations];
    const script = this.passesFence ? WRITE_PAST_FENCE : WRITE;
    const [now, tag, ...replies] = (await this.client.run({
      slot: partition.slot,
      args: evalsha(script, [...partition.scriptKeys, ...entries], args),
      script,
      idempotent,
      write: true,
      deadline,
    })) as [Buffer, Buffer, ...Reply[]];
    this.raiseClock(now);
    const [first] = replies;
    if (Buffer.isBuffer(first)) throw moved(first.toString());
    this.onWrite?.(partition, tag.toString('latin1'));
    return replies;
  }

  /** The tag of the partition's last change; empty before the first. */
  async lastTagOf(partition: Partition): Promise<string> {
    const tag = (await this.read(partition, 'HGET', partition.state, 'tag')) as Buffer | null;
    return tag?.toString('latin1') ?? '';
  }

  /** Removes up to `limit` expired entries of the partition. Returns how many there were, and the partition's last tag. */
  async sweep(partition: Partition, limit: number): Promise<{ count: number; tag: string }> {
    const [now, tag, count] = (await this.client.run({
      slot: partition.slot,
      args: evalsha(SWEEP, partition.scriptKeys, [...this.writeArguments(), String(limit)]),
      script: SWEEP,
      idempotent: true,
    })) as [Buffer, Buffer, number];
    this.raiseClock(now);
    return { count, tag: tag.toString('latin1') };
  }

  /** Raises the clock to the highest time that the partition has seen. */
  async syncClock(partition: Partition): Promise<void> {
    const now = (await this.read(partition, 'HGET', partition.state, 'now')) as Buffer | null;
    if (now) this.raiseClock(now);
  }

  /** Does `work` with every partition at once. */
  async onEachPartition<T>(work: (partition: Partition) => Promise<T>): Promise<T[]> {
    return Promise.all(this.partitions.all.map(work));
  }

  /** The channel on which scripts publish the partition's last tag. All databases of a server share its channels. */
  channelOf({ state }: Partition): string {
    return state + this.epochText;
  }

  /** ARGV 1 to 6 of scripts that write. */
  private writeArguments(): string[] {
    return [this.now(), this.epochText, this.random(), ...this.logBounds];
  }

  private random(): string {
    if (this.randomUsed === this.randomPool.length) {
      this.randomPool = randomBytes(RANDOM_BYTES_AT_ONCE).toString('hex');
      this.randomUsed = 0;
    }
    return this.randomPool.slice(this.randomUsed, (this.randomUsed += RANDOM_DIGITS));
  }

  private now(): string {
    return String(this.clock.now());
  }

  /** The clock of another server may be ahead, and this server must not undo an expiry that the other has seen. */
  private raiseClock(now: Buffer): void {
    this.clock.raise(Number(now.toString('latin1')));
  }
}

function evalsha(script: Script, keys: readonly string[], args: readonly (string | Buffer)[]) {
  return ['EVALSHA', script.sha, String(keys.length), ...keys, ...args];
}
