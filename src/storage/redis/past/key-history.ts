import type { PastChange } from '../../past.js';
import { decodeChange, type LoggedChange } from '../logged-change.js';
import type { Partition } from '../partitions.js';
import { sequenceOf } from '../position.js';
import { HISTORY } from '../scripts.js';
import type { RedisStore } from '../store.js';
import { catchUp } from './removals.js';

/** The state in which a change left a key, and what was around it. */
export interface StateThen {
  /** undefined if the log has no change by then. */
  readonly change: LoggedChange | undefined;
  /** Tag of the put before it. */
  readonly predecessor: string | undefined;
  /** Tag of the put after it. */
  readonly successor: string | undefined;
  /** Whether what came before the last change that was found is not known. */
  readonly isUnknown: boolean;
  /** The last sequence that the log no longer had. */
  readonly floor: number;
}

interface Reply {
  readonly reason: string;
  readonly lead: string;
  readonly after: string | undefined;
  readonly before: string | undefined;
  readonly floor: number;
  readonly changes: readonly LoggedChange[];
}

/** Where a walk begins: at the present, or at one change, if it is of the key. */
const PRESENT = '';
const OWN = 'own';
/** Changes that one call returns. */
const AT_ONCE = 128;
/** Calls in which the version after one is searched, of some hundred changes each. */
const MOST_CALLS_AFTER = 8;

/** The history of one key, newest first, which scripts/history.lua follows through the log of its partition. */
export class KeyHistory {
  private readonly partition: Partition;

  constructor(
    private readonly store: RedisStore,
    private readonly key: string,
  ) {
    this.partition = store.partitions.ofKey(key);
  }

  /** Yields the changes up to a sequence. Returns whether there may have been earlier ones, which are not known any more. */
  async *upTo(sequence: number, limit: number): AsyncGenerator<PastChange, boolean> {
    for (let lead = OWN; ;) {
      const reply = await this.ask(lead, sequence, Math.min(limit, AT_ONCE), false);
      yield* reply.changes;
      if (isEnd(reply)) return reply.reason !== 'start';
      lead = reply.lead;
    }
  }

  /** Returns the state after the last change up to a sequence. @param isOwn whether that may be a change of the key, so that it is looked at first */
  async stateAfter(sequence: number, isOwn: boolean): Promise<StateThen> {
    let change: LoggedChange | undefined;
    let after: string | undefined;
    for (let lead = isOwn ? OWN : PRESENT; ;) {
      const reply = await this.ask(lead, sequence, change ? 0 : 1, true);
      change ??= reply.changes[0];
      after = reply.after ?? after;
      if (reply.reason === 'full' || isEnd(reply)) {
        const isAt = isOwn && change !== undefined && sequenceOf(change.etag) === sequence;
        const successor = isAt ? await this.putAfter(sequence) : after;
        const { before: predecessor, floor, reason } = reply;
        return { change, predecessor, successor, isUnknown: reason === 'unknown', floor };
      }
      lead = reply.lead;
    }
  }

  /** Returns the tag of the put after a sequence, if it is among the newest changes. */
  private async putAfter(sequence: number): Promise<string | undefined> {
    let after: string | undefined;
    let lead = PRESENT;
    for (let i = 0; i < MOST_CALLS_AFTER; i++) {
      const reply = await this.ask(lead, sequence, 0, false);
      after = reply.after ?? after;
      if (reply.reason === 'full' || isEnd(reply)) return after;
      lead = reply.lead;
    }
    return undefined;
  }

  private async ask(lead: string, upTo: number, limit: number, isVersion: boolean): Promise<Reply> {
    const args = [this.key, lead, String(upTo), String(limit), isVersion ? '1' : '0'];
    const reply = (await this.store.query(this.partition, HISTORY, args)) as [...Buffer[], Buffer[][]];
    const lines = reply.pop() as Buffer[][];
    const [reason, next, after, before, floor] = (reply as Buffer[]).map((word) => word.toString('latin1'));
    if (reason === 'index') await catchUp(this.store, this.partition);
    return {
      reason: reason!,
      lead: next!,
      after: after || undefined,
      before: before || undefined,
      floor: Number(floor),
      changes: lines.map((fields) => decodeChange(this.partition, fields, 0)),
    };
  }
}

function isEnd({ reason }: Reply): boolean {
  return reason === 'start' || reason === 'cut' || reason === 'unknown';
}
