import { setTimeout as pause } from 'node:timers/promises';
import { DEADLINE_MS, type Connection, type Reply } from './connection.js';
import { isUnknownScript, outcomeUnknown, Refused, remedyFor, unavailable } from './retries.js';
import type { RedisAddress } from './redis-url.js';
import { Backlog } from './backlog.js';
import type { Script } from './script.js';
import { Topology } from './topology.js';

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;
const MAX_REDIRECTIONS = 8;
const REPLICATED_WITHIN_MS = 2_000;
const COMPLAIN_EVERY_MS = 60_000;
const NO_ANSWER = 'Redis does not answer at present.';

/** Whether a command may be sent again when nobody knows whether it was done. */
export type Repeatable = 'repeatable' | 'once';

/** What is sent, and to the primary of which slot. */
export interface Call {
  readonly slot: number;
  readonly args: readonly (string | Buffer)[];
  /** Of a call by EVALSHA: what to load where it is not known. */
  readonly script?: Script;
  readonly repeatable: Repeatable;
  /** Whether it is a write, which waits for replicas if that was asked for. */
  readonly write?: boolean;
  /** When nobody waits any longer, on the clock of `performance`; 5 s from now unless told. */
  readonly due?: number | undefined;
}

/**
 * The way of a command to the server that has its slot, and of the answer back.
 *
 * Design: a command that was refused, or never sent, is tried again with a growing, jittered pause until its deadline of
 * 5 s, which several commands for one answer share; so is one of unknown fate if it may be repeated. Guarantee: `unavailable` and `busy` mean that nothing was applied,
 * `outcome-unknown` that it may have been, and one answer or another comes within 6 s whatever the cluster does. No
 * redirection and no text of Redis or of the driver reaches a client.
 */
export class ClusterClient {
  readonly topology: Topology;
  /** For calls to slots that nobody is known to have. */
  private readonly nowhere = new Backlog();
  private closed = false;
  private complainedAt = -Infinity;

  constructor(
    address: RedisAddress,
    /** How many replicas have to have a write before it is answered. */
    private readonly waitReplicas: number,
    /** Told what is wrong with the servers, a line each. */
    private readonly report: (line: string) => void,
    onMoved: () => void = () => undefined,
  ) {
    this.topology = new Topology(address, { report, waits: waitReplicas > 0 }, onMoved);
  }

  /**
   * Sends a command until it is answered.
   * @throws DatabaseError `busy`, `unavailable`, `outcome-unknown`, `disk-full`, or an ErrorReply that speaks of the command
   */
  async run(call: Call): Promise<Reply> {
    const bytes = bytesOf(call.args);
    const room = this.topology.ownerOf(call.slot)?.room ?? this.nowhere;
    room.enter(bytes);
    try {
      return await this.attempt(call, call.due ?? performance.now() + DEADLINE_MS);
    } finally {
      room.leave(bytes);
    }
  }

  /** Asks every primary at once. @throws DatabaseError `unavailable` */
  async all<T>(work: (primary: Connection) => Promise<T>): Promise<T[]> {
    try {
      return await Promise.all(this.topology.primaries().map(work));
    } catch {
      this.topology.refreshSoon();
      throw unavailable(NO_ANSWER);
    }
  }

  close(): void {
    this.closed = true;
    this.topology.close();
  }

  /** Tries until `due`, on the clock of `performance`. */
  private async attempt(call: Call, due: number): Promise<Reply> {
    const { topology } = this;
    /** Whether an earlier try may have been carried out. */
    let lost = false;
    let asked: Connection | undefined;
    let redirections = 0;
    let wait = FIRST_PAUSE_MS;
    while (!this.closed && performance.now() < due) {
      const connection = asked ?? topology.ownerOf(call.slot);
      try {
        if (connection) return await this.send(call, connection, asked !== undefined, due);
      } catch (error) {
        asked = undefined;
        const remedy = remedyFor(error);
        switch (remedy.kind) {
          case 'final':
            throw lost && call.write ? outcomeUnknown() : remedy.error;
          case 'refused':
            this.complain(`Redis at ${connection!.name} refuses commands: ${remedy.why}`);
            throw lost && call.write ? outcomeUnknown() : new Refused(remedy.why);
          case 'ask':
          case 'moved': {
            if (++redirections > MAX_REDIRECTIONS) break;
            const target = topology.namedBy(connection!, remedy.to);
            if (remedy.kind === 'ask') asked = target;
            else topology.move(call.slot, target);
            continue;
          }
          case 'lost':
            if (call.repeatable === 'once') throw outcomeUnknown();
            lost = true;
        }
      }
      topology.refreshSoon();
      await pause(Math.max(0, Math.min(wait * (0.5 + Math.random() / 2), due - performance.now())));
      wait = Math.min(LONGEST_PAUSE_MS, wait * 2);
    }
    throw lost && call.write ? outcomeUnknown() : unavailable(NO_ANSWER);
  }

  private async send(call: Call, to: Connection, isAsked: boolean, due: number): Promise<Reply> {
    const connection = to.forWrites(call.write);
    const submit = () => (isAsked ? connection.ask(call.args, due) : connection.send(call.args, due));
    let reply: Reply;
    try {
      reply = await submit();
    } catch (error) {
      if (!call.script || !isUnknownScript(error)) throw error;
      await connection.load(call.script, due);
      reply = await submit();
    }
    if (call.write && this.waitReplicas > 0) await this.replicate(connection, due);
    return reply;
  }

  private async replicate(connection: Connection, due: number): Promise<void> {
    const { waitReplicas: least } = this;
    const copies = await connection.replicas(least, REPLICATED_WITHIN_MS, due).catch(() => 0);
    if (copies >= least) return;
    this.complain(`Redis at ${connection.name} did not confirm writes from WAIT_REPLICAS=${least} replicas.`);
    throw outcomeUnknown();
  }

  /** Reports what goes on for a while, and is the same for every command, once a minute. */
  private complain(line: string): void {
    const now = performance.now();
    if (now - this.complainedAt < COMPLAIN_EVERY_MS) return;
    this.complainedAt = now;
    this.report(line);
  }
}

function bytesOf(args: readonly (string | Buffer)[]): number {
  let bytes = 0;
  for (const arg of args) if (typeof arg !== 'string') bytes += arg.length;
  return bytes;
}
