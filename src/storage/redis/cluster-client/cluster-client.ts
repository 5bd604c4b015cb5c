import { setTimeout as pause } from 'node:timers/promises';
import { Backlog } from './backlog.js';
import { ConnectionError } from './connection-error.js';
import { AWAY_AFTER_MS, COMMAND_TIMEOUT_MS, type Connection, type Reply, type Script } from './connection.js';
import {
  classify,
  isUnknownScript,
  outcomeUnknown,
  partLost,
  partUnavailable,
  RefusedError,
  unavailable,
} from './failures.js';
import type { RedisUrl } from './redis-url.js';
import { Topology } from './topology.js';

const MIN_PAUSE_MS = 20;
const MAX_PAUSE_MS = 250;
/** A value of more bytes is large: it has a connection of its own, and time for each of its bytes. */
export const LARGE_BYTES = 256 * 1024;
/** 1 MiB/s: what a network should carry at least. */
const LARGE_BYTES_PER_MS = 2 ** 20 / 1000;
/** How long a server may be without a partition before that counts as lost. */
const LOST_AFTER_MS = 500;
const MAX_REDIRECTIONS = 8;
const REPLICATION_TIMEOUT_MS = 2_000;
const WARN_EVERY_MS = 60_000;

/** A command for the primary of a slot. */
export interface Command {
  readonly slot: number;
  readonly args: readonly (string | Buffer)[];
  /** The script that an EVALSHA calls, to be loaded where it is not known. */
  readonly script?: Script;
  /** Whether the command may be sent again when its outcome is unknown. */
  readonly idempotent: boolean;
  /**
   * For a script that recognises its own earlier tries: the index in `args` of the server's time until which this try may be
   * carried out, and after it of its number, from 1. Both are filled in.
   */
  readonly triesAt?: number;
  /** Whether the command writes, so that it waits for replicas where that is asked for. */
  readonly write?: boolean;
  /** Bytes of the reply, where they are known to be many. */
  readonly replyBytes?: number | undefined;
  /** When the caller gives up, on the clock of `performance`; 5 s from now by default. Large values get more time. */
  readonly deadline?: number | undefined;
}

/**
 * Sends commands to the servers of a cluster, or to a single server.
 *
 * Design: a command that was refused or never sent is tried again, with growing, jittered pauses, until its deadline; so is
 * one whose outcome is unknown, if it is idempotent. Several commands for one request share a deadline. Nothing waits for a
 * server of a cluster that is gone and has no replica left, so that its part fails fast and alone. Guarantee:
 * `unavailable` and `busy` mean that nothing was applied, `outcome-unknown` that something may have been, and will not be any
 * more; a reply or an error comes within 6 s, whatever the cluster does. No redirection, and no text of Redis or of the
 * library, reaches a client of ours.
 */
export class ClusterClient {
  readonly topology: Topology;
  /** For commands to slots without a known server. */
  private readonly unassigned = new Backlog();
  private closed = false;
  private warnedAt = -Infinity;

  constructor(
    url: RedisUrl,
    /** How many replicas must have a write before it is acknowledged. */
    private readonly waitReplicas: number,
    /** Called with one line when something is wrong with a server. */
    private readonly report: (line: string) => void,
    /** Called when slots have moved to other servers. */
    onMoved: () => void,
    /** Returns milliseconds, from any start. */
    monotonic: () => number,
  ) {
    this.topology = new Topology(url, { report, waitsForReplicas: waitReplicas > 0, monotonic }, onMoved);
  }

  /**
   * Sends a command, and again where that is safe, until there is a reply.
   * @throws DatabaseError `busy`, `unavailable`, `outcome-unknown`, `disk-full`
   * @throws ErrorReply if the command itself is at fault
   */
  async run(command: Command): Promise<Reply> {
    const bytes = bytesOf(command.args);
    const backlog = this.topology.ownerOf(command.slot)?.backlog ?? this.unassigned;
    backlog.add(bytes);
    try {
      const { deadline = performance.now() + COMMAND_TIMEOUT_MS, replyBytes = 0 } = command;
      const largest = Math.max(bytes, replyBytes);
      if (largest <= LARGE_BYTES) return await this.retry(command, deadline, 0);
      return await this.retry(command, deadline + largest / LARGE_BYTES_PER_MS, largest);
    } finally {
      backlog.remove(bytes);
    }
  }

  /** Does `work` with every primary at once. @throws DatabaseError `unavailable` if one of them fails */
  async onEachPrimary<T>(work: (primary: Connection) => Promise<T>): Promise<T[]> {
    try {
      return await Promise.all(this.topology.primaries().map(work));
    } catch {
      this.topology.refreshSoon();
      throw unavailable();
    }
  }

  close(): void {
    this.closed = true;
    this.topology.close();
  }

  private async retry(command: Command, deadline: number, largeBytes: number): Promise<Reply> {
    const { topology } = this;
    /** The number of this try; earlier ones may have been carried out. */
    let number = 1;
    /** When no server carries an earlier try out any more. */
    let until = 0;
    let askTarget: Connection | undefined;
    let redirections = 0;
    let lostSince: number | undefined;
    let wait = MIN_PAUSE_MS;
    while (!this.closed && performance.now() < deadline) {
      const connection = askTarget ?? topology.ownerOf(command.slot);
      if (connection?.isGone) {
        topology.refreshSoon();
        if (number === 1 || !command.write) throw partUnavailable();
        await pause(Math.max(0, until - performance.now()));
        throw outcomeUnknown();
      }
      try {
        if (connection) {
          const patience = largeBytes > 0 ? deadline : patienceWith(connection, deadline);
          until = Math.max(until, patience);
          const args = argsOfTry(command, connection, number, patience);
          return await this.send(command, args, connection, askTarget !== undefined, deadline, largeBytes);
        }
      } catch (error) {
        askTarget = undefined;
        const failure = classify(error);
        switch (failure.kind) {
          case 'final':
            throw number > 1 && command.write ? outcomeUnknown() : failure.error;
          case 'refused':
            this.warn(`Redis at ${connection!.name} refuses commands: ${failure.reply}`);
            throw number > 1 && command.write ? outcomeUnknown() : new RefusedError(failure.reply);
          case 'ask':
          case 'moved': {
            if (++redirections > MAX_REDIRECTIONS) break;
            const target = topology.redirectionTarget(connection!, failure.to);
            if (failure.kind === 'ask') askTarget = target;
            else topology.moveSlot(command.slot, target);
            continue;
          }
          case 'unknown':
            if (!command.idempotent) throw outcomeUnknown();
            number++;
            break;
          case 'lost':
            // A slot may have come before its keys, which are about to follow.
            lostSince ??= performance.now();
            if (performance.now() - lostSince < LOST_AFTER_MS) break;
            throw number > 1 && command.write ? outcomeUnknown() : partLost();
          case 'late':
            connection!.clock.learn(failure.time);
        }
      }
      topology.refreshSoon();
      if (connection?.isGone) continue;
      await pause(Math.max(0, Math.min(wait * (0.5 + Math.random() / 2), deadline - performance.now())));
      wait = Math.min(MAX_PAUSE_MS, wait * 2);
    }
    throw number > 1 && command.write ? outcomeUnknown() : unavailable();
  }

  private async send(
    { script, write }: Command,
    args: Command['args'],
    server: Connection,
    asking: boolean,
    deadline: number,
    largeBytes: number,
  ): Promise<Reply> {
    const connection = server.channelFor(write === true, largeBytes > 0);
    const submit = () =>
      asking
        ? connection.sendAsking(args, deadline, largeBytes)
        : connection.send(args, deadline, largeBytes);
    let reply: Reply;
    try {
      reply = await submit();
    } catch (error) {
      if (!script || !isUnknownScript(error)) throw error;
      await connection.loadScript(script, deadline);
      reply = await submit();
    }
    if (write && this.waitReplicas > 0) await this.replicate(connection, deadline);
    return reply;
  }

  private async replicate(connection: Connection, deadline: number): Promise<void> {
    const { waitReplicas } = this;
    const copies = await connection
      .waitForReplicas(waitReplicas, REPLICATION_TIMEOUT_MS, deadline)
      .catch(() => 0);
    if (copies >= waitReplicas) return;
    this.warn(
      `Redis at ${connection.name} did not confirm writes from WAIT_REPLICAS=${waitReplicas} replicas.`,
    );
    throw outcomeUnknown();
  }

  /** Reports at most once a minute: what every command meets would fill the log. */
  private warn(line: string): void {
    const now = performance.now();
    if (now - this.warnedAt < WARN_EVERY_MS) return;
    this.warnedAt = now;
    this.report(line);
  }
}

/** When a server must not carry a command out any more: one that nobody can replace is given up after a while. */
function patienceWith(server: Connection, deadline: number): number {
  return server.isAlone ? Math.min(deadline, performance.now() + AWAY_AFTER_MS) : deadline;
}

/** The arguments of a try. @throws ConnectionError if the server has not said its time yet */
function argsOfTry({ args, triesAt }: Command, server: Connection, number: number, deadline: number) {
  if (triesAt === undefined) return args;
  const until = server.clock.timeAt(deadline);
  if (until === undefined) throw new ConnectionError(false, 'its time is not known yet');
  const own = [...args];
  own[triesAt] = String(until);
  own[triesAt + 1] = String(number);
  return own;
}

/** Bytes of values among the arguments. */
function bytesOf(args: readonly (string | Buffer)[]): number {
  let bytes = 0;
  for (const arg of args) if (typeof arg !== 'string') bytes += arg.length;
  return bytes;
}
