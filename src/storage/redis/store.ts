import { randomBytes } from 'node:crypto';
import { moved } from '../fence.js';
import { LOGGED_VALUE_BYTES } from '../storage-engine.js';
import { LARGE_BYTES, type ClusterClient, type Command } from './cluster-client/cluster-client.js';
import type { Reply, Script } from './cluster-client/connection.js';
import { slotOf } from './cluster-client/slots.js';
import { changes } from '../storage-meters.js';
import { LastTags } from './last-tags.js';
import { METADATA_KEY, Partitions, type Partition } from './partitions.js';
import { Presence } from './presence.js';
import { BEGIN, FENCE, SIZES, SWEEP, SYSTEM, WRITE, WRITE_ONCE, WRITE_PAST_FENCE } from './scripts.js';
import { OPERATION_WORDS } from './write-script.js';

/** Random hexadecimal digits at the end of a tag. */
const EQUALS = Buffer.from('=');
const RANDOM_DIGITS = 12;
/** Six random bytes cost as much as thousands. */
const RANDOM_BYTES_AT_ONCE = 6 * 1024;
/** What precedes the KEYS of a script: the command, the script and the number of keys. */
const EVALSHA_WORDS = 3;
/** How many ARGV all scripts that write have. */
const WRITE_ARGUMENTS = 6;
/** The time until which a try may be carried out, and its number: the client fills them in. */
const NEW_TRY = ['', ''];

interface WriteOptions extends Pick<Command, 'deadline'> {
  readonly atomic: boolean;
  /** Bytes of values that may be found. */
  readonly maxBytes: number;
  /** The arguments of a write with an Idempotency-Key (once.lua). */
  readonly once?: readonly string[];
}

/** One database in Redis: its partitions, and the commands and scripts that run on them. */
export class RedisStore {
  readonly partitions: Partitions;
  readonly lastTags: LastTags;
  readonly presence: Presence;
  /** The bounds of a partition's log, bytes: its share, all partitions' together, a logged value. */
  private readonly logBounds: readonly string[];
  private readonly epochText: string;
  private randomPool = '';
  private randomUsed = 0;

  constructor(
    readonly client: ClusterClient,
    /** The time when the database was made, seconds since 1970; part of tags and positions. */
    readonly epoch: number,
    partitions: number,
    watchLogBytes: number,
    private readonly passesFence = false,
  ) {
    this.partitions = new Partitions(partitions);
    this.presence = new Presence(client);
    this.lastTags = new LastTags(partitions);
    this.epochText = epoch.toString(16).padStart(8, '0');
    this.logBounds = [
      String(Math.ceil(watchLogBytes / partitions)),
      String(watchLogBytes),
      String(LOGGED_VALUE_BYTES),
    ];
  }

  /** Runs a command that changes nothing. */
  async read(partition: Partition, ...args: (string | Buffer)[]): Promise<Reply> {
    return this.client.run({ slot: partition.slot, args, idempotent: true });
  }

  /**
   * Puts a private record of the server, or deletes it without a `value`, if it is what `expected` says. Returns whether it
   * was. That is never repeated, because others may write between two tries.
   */
  async writeSystem(name: string, expected: Buffer | 'absent' | 'any', value?: Buffer): Promise<boolean> {
    const { partition, hash } = this.partitions.system;
    const held = expected === 'any' ? '' : expected === 'absent' ? 'x' : Buffer.concat([EQUALS, expected]);
    const args = [this.passesFence ? '1' : '0', name, held, ...(value ? [value] : [])];
    const reply = (await this.client.run({
      slot: partition.slot,
      args: evalsha(SYSTEM, [partition.state, hash], args),
      script: SYSTEM,
      idempotent: false,
      write: true,
    })) as Buffer | number;
    if (typeof reply !== 'number') throw moved(reply.toString());
    return reply === 1;
  }

  async fence(): Promise<string | undefined> {
    const [first] = this.partitions.all;
    return ((await this.read(first!, 'HGET', first!.state, 'moved')) as Buffer | null)?.toString();
  }

  /** Sets the fence in the first partition first, and lifts it there last: that one says whether any has it. */
  async setFence(place: string | undefined): Promise<void> {
    const args = place === undefined ? [] : [place];
    const write = (partition: Partition) => this.changeState(partition, FENCE, args);
    const [first, ...others] = this.partitions.all;
    if (place !== undefined) await write(first!);
    await Promise.all(others.map(write));
    if (place === undefined) await write(first!);
  }

  /** Runs a script on the state of a partition alone. Doing it twice is the same as once. */
  private changeState({ slot, state }: Partition, script: Script, args: readonly string[]): Promise<Reply> {
    return this.client.run({
      slot,
      args: evalsha(script, [state], args),
      script,
      idempotent: true,
      write: true,
    });
  }

  /** Runs a script that changes nothing. */
  async query(partition: Partition, script: Script, args: readonly (string | Buffer)[]): Promise<Reply> {
    return this.client.run({
      slot: partition.slot,
      args: evalsha(script, partition.scriptKeys, [this.knownTime(partition), ...args]),
      script,
      idempotent: true,
    });
  }

  /**
   * Runs WRITE with encoded operations on `entries`, which are Redis keys. Returns a reply for each operation.
   *
   * What is read may be too much for the connection of small values. A batch of which nothing is applied when a value is
   * refused is tried with as much as fits there; of others, and where that was too little, the sizes are read first.
   */
  async write(
    partition: Partition,
    entries: readonly string[],
    operations: readonly (string | Buffer)[],
    options: WriteOptions,
  ): Promise<readonly Reply[]> {
    const { atomic, maxBytes, deadline, once } = options;
    // Nobody knows the values of an answer that was remembered.
    if (once) return this.runWrite(partition, entries, operations, options, LARGE_BYTES + 1);
    if (!operations.includes('get') || maxBytes <= LARGE_BYTES)
      return this.runWrite(partition, entries, operations, options);
    const names = operations.filter((_, i) => i % OPERATION_WORDS === 0);
    if (atomic || names.every((name) => name === 'get' || name === 'check')) {
      const small = { ...options, maxBytes: LARGE_BYTES };
      const replies = await this.runWrite(partition, entries, operations, small);
      if (!replies.some(isTooLarge)) return replies;
    }
    const read = entries.filter((_, i) => names[i] === 'get');
    const replyBytes = await this.client.run({
      slot: partition.slot,
      args: evalsha(SIZES, read, []),
      script: SIZES,
      idempotent: true,
      deadline,
    });
    return this.runWrite(partition, entries, operations, options, replyBytes as number);
  }

  private async runWrite(
    partition: Partition,
    entries: readonly string[],
    operations: readonly (string | Buffer)[],
    { atomic, maxBytes, deadline, once }: WriteOptions,
    replyBytes = 0,
  ): Promise<readonly Reply[]> {
    const limit = String(Math.min(maxBytes, Number.MAX_SAFE_INTEGER));
    const keys = [...partition.scriptKeys, ...entries];
    const args = [
      ...this.writeArguments(partition),
      ...NEW_TRY,
      this.lastTags.of(partition),
      atomic ? '1' : '0',
      limit,
      ...operations,
      ...(once ?? []),
    ];
    const script = once ? WRITE_ONCE : this.passesFence ? WRITE_PAST_FENCE : WRITE;
    const [now, tag, ...replies] = (await this.client.run({
      slot: partition.slot,
      args: evalsha(script, keys, args),
      script,
      // The script recognises its own earlier tries.
      idempotent: true,
      triesAt: EVALSHA_WORDS + keys.length + WRITE_ARGUMENTS,
      write: true,
      deadline,
      replyBytes: Math.min(replyBytes, maxBytes),
    })) as [Buffer, Buffer, ...Reply[]];
    this.learn(partition, now, tag);
    const [first] = replies;
    if (Buffer.isBuffer(first)) throw moved(first.toString());
    return replies;
  }

  /** The tag of the partition's last change; empty before the first. */
  async lastTagOf(partition: Partition): Promise<string> {
    const tag = await this.presence.read(partition, 'tag');
    return tag?.toString('latin1') ?? '';
  }

  /** Removes up to `limit` expired entries of the partition. Returns how many there were, and the partition's last tag. */
  async sweep(partition: Partition, limit: number): Promise<{ count: number; tag: string }> {
    const sweep = this.client.run({
      slot: partition.slot,
      args: evalsha(SWEEP, partition.scriptKeys, [...this.writeArguments(partition), String(limit)]),
      script: SWEEP,
      idempotent: true,
    });
    sweep.catch(() => this.presence.doubt(partition));
    const [now, tag, count] = (await sweep) as [Buffer, Buffer, number];
    this.learn(partition, now);
    changes.by.expire += count;
    return { count, tag: tag.toString('latin1') };
  }

  /** Gives every partition its state, when the database has been made. Others may do the same at the same time. */
  async begin(): Promise<void> {
    const start = [String(this.epoch * 1000)];
    await this.onEachPartition((partition) => this.changeState(partition, BEGIN, start));
    const args = ['HSET', METADATA_KEY, 'begun', '1'];
    await this.client.run({ slot: slotOf(METADATA_KEY), args, idempotent: true, write: true });
  }

  /** Returns how many entries all partitions have, with those that have expired, and the size of their logs, bytes. */
  async sizes(): Promise<{ entries: number; logBytes: number }> {
    const parts = await this.onEachPartition(async (partition) => {
      const entries = (await this.read(partition, 'ZCARD', partition.index)) as number;
      return { entries, bytes: Number(await this.presence.read(partition, 'bytes')) };
    });
    return {
      entries: parts.reduce((sum, { entries }) => sum + entries, 0),
      logBytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  /** Learns the last tag of the partition, and the highest time that it has seen. */
  async sync(partition: Partition): Promise<void> {
    const [tag, now] = (await this.read(partition, 'HMGET', partition.state, 'tag', 'now')) as Buffer[];
    if (now) this.learn(partition, now, tag);
  }

  /** The time of the server that has the partition, milliseconds since 1970; 0 until it is known. */
  timeOf({ slot }: Partition): number {
    return this.client.topology.ownerOf(slot)?.clock.now() ?? 0;
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
  private writeArguments(partition: Partition): string[] {
    return [this.knownTime(partition), this.epochText, this.random(), ...this.logBounds];
  }

  private random(): string {
    if (this.randomUsed === this.randomPool.length) {
      this.randomPool = randomBytes(RANDOM_BYTES_AT_ONCE).toString('hex');
      this.randomUsed = 0;
    }
    return this.randomPool.slice(this.randomUsed, (this.randomUsed += RANDOM_DIGITS));
  }

  private knownTime(partition: Partition): string {
    return String(this.timeOf(partition));
  }

  /** Takes over what the partition says of itself. */
  private learn(partition: Partition, now: Buffer, tag?: Buffer): void {
    this.client.topology.ownerOf(partition.slot)?.clock.raise(Number(now.toString('latin1')));
    if (tag) this.lastTags.advance(partition, tag.toString('latin1'));
  }
}

/** Whether an operation was refused because more would be read than may be. */
function isTooLarge(reply: Reply): boolean {
  const [kind, code] = reply as readonly Reply[];
  return String(kind) === '!' && String(code) === 'body-too-large';
}

function evalsha(script: Script, keys: readonly string[], args: readonly (string | Buffer)[]) {
  return ['EVALSHA', script.sha, String(keys.length), ...keys, ...args];
}
