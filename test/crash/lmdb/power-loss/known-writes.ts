import { createHash } from 'node:crypto';
import http from 'node:http';
import { ask, type Answer } from '../../../support/http.js';
import { Random } from '../../../support/random.js';

const KEYS_PER_WRITER = 12;
const SIZES = [20, 100, 100, 300, 3000, 20_000, 100_000];

/** A write to a key. Moments are sizes of the disk's journal. */
interface KnownWrite {
  /** Number of the write that made the value; 0 for a deletion. */
  readonly number: number;
  readonly sentAt: number;
  answeredAt: number;
}

/**
 * Clients that write, and know what a store may hold that lost power at any moment.
 *
 * Only one writer writes a key, one write after the other. A store must show the last write that was answered before the
 * moment, or the next one, if that was sent before it. Both keys of a pair are written by one batch, so they are equal.
 */
export class KnownWrites {
  private readonly writes = new Map<string, KnownWrite[]>();
  private readonly sizes = new Map<number, number>();
  private readonly tags: { readonly tag: string; readonly answeredAt: number }[] = [];
  private next = 0;
  answered = 0;

  /** @param moment returns the present size of the journal */
  constructor(
    private readonly port: number,
    private readonly moment: () => number,
  ) {}

  /** Writes from `count` clients at once until `isOver`. */
  async run(count: number, isOver: () => boolean): Promise<void> {
    const writers = Array.from({ length: count }, (_, writer) => this.write(writer, isOver));
    await Promise.all(writers);
  }

  /** Returns what is wrong with `shown`, a store that lost power at `moment`, in one line each. */
  faults(shown: ReadonlyMap<string, string>, moment: number): string[] {
    const faults: string[] = [];
    for (const [key, writes] of this.writes) {
      const allowed = this.allowedAt(writes, moment);
      const value = shown.get(key);
      if (!allowed.some((number) => this.valueOf(key, number) === value))
        faults.push(`${key}: ${value?.slice(0, 20) ?? 'nothing'} instead of ${allowed.join(' or ')}`);
    }
    for (const key of shown.keys()) {
      if (!key.endsWith('/left')) continue;
      const other = key.replace(/left$/, 'right');
      if (numberIn(shown.get(key)) !== numberIn(shown.get(other))) faults.push(`${key}: half a batch`);
    }
    return faults;
  }

  /** The highest tag that was answered before `moment`. */
  highestTag(moment: number): string {
    return this.tags.reduce(
      (high, { tag, answeredAt }) => (answeredAt <= moment && tag > high ? tag : high),
      '',
    );
  }

  private async write(writer: number, isOver: () => boolean): Promise<void> {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const random = new Random(writer + 1);
    while (!isOver()) {
      const key = `writer/${writer}/${random.below(KEYS_PER_WRITER)}`;
      if (random.chance(0.1)) await this.writePair(`pair/${writer}`, agent);
      else if (random.chance(0.15)) await this.delete(key, agent);
      else await this.put(key, random.pick(SIZES), agent, random.chance(0.1));
      // What expires is not looked at, but its removal is in the same commits.
      if (random.chance(0.1))
        await ask(this.port, `/kv/brief/${writer}?ttl=50ms`, { method: 'PUT', body: 'x', agent });
    }
    agent.destroy();
  }

  private async put(key: string, size: number, agent: http.Agent, byJson: boolean): Promise<void> {
    const number = this.number(size);
    const value = this.valueOf(key, number)!;
    const path = `/kv/${key}`;
    const request = byJson
      ? { method: 'POST', body: JSON.stringify({ ops: [{ op: 'put', key, value }] }), agent }
      : { method: 'PUT', body: value, agent };
    await this.known([key], number, () =>
      ask(this.port, byJson ? '/batch' : path, { headers: byJson ? JSON_TYPE : {}, ...request }),
    );
  }

  private async writePair(key: string, agent: http.Agent): Promise<void> {
    const number = this.number(200);
    const keys = [`${key}/left`, `${key}/right`];
    const ops = keys.map((each) => ({ op: 'put', key: each, value: this.valueOf(each, number) }));
    const request = { method: 'POST', body: JSON.stringify({ ops }), headers: JSON_TYPE, agent };
    await this.known(keys, number, () => ask(this.port, '/batch', request));
  }

  private async delete(key: string, agent: http.Agent): Promise<void> {
    await this.known([key], 0, () => ask(this.port, `/kv/${key}`, { method: 'DELETE', agent }));
  }

  private async known(keys: readonly string[], number: number, send: () => Promise<Answer>): Promise<void> {
    const sentAt = this.moment();
    const writes = keys.map((key) => {
      const write = { number, sentAt, answeredAt: Infinity };
      if (!this.writes.has(key)) this.writes.set(key, [{ number: 0, sentAt: 0, answeredAt: 0 }]);
      this.writes.get(key)!.push(write);
      return write;
    });
    const { status, headers, text } = await send();
    if (status >= 300) throw new Error(`a write was answered ${status}: ${text}`);
    const answeredAt = this.moment();
    for (const write of writes) write.answeredAt = answeredAt;
    if (headers.etag) this.tags.push({ tag: headers.etag, answeredAt });
    this.answered++;
  }

  private number(size: number): number {
    this.sizes.set(++this.next, size);
    return this.next;
  }

  private allowedAt(writes: readonly KnownWrite[], moment: number): number[] {
    const last = writes.findLastIndex(({ answeredAt }) => answeredAt <= moment);
    return writes
      .slice(last)
      .filter(({ sentAt }) => sentAt <= moment)
      .map(({ number }) => number);
  }

  /** The value of a write: its number, and text that only this write to this key has. */
  private valueOf(key: string, number: number): string | undefined {
    if (number === 0) return undefined;
    const seed = createHash('sha256').update(`${key} ${number}`).digest('hex');
    return `${number}:${seed.repeat(Math.ceil(this.sizes.get(number)! / seed.length))}`;
  }
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

function numberIn(value: string | undefined): string | undefined {
  return value?.slice(0, value.indexOf(':'));
}
