import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../support/random.js';
import type { RawAnswer } from '../../support/raw-http.js';
import { Pipeline } from './pipeline.js';
import { APART, objectOf, type Exchange, type Part } from './register.js';
import { batchBytes, bytesOf, saidBy, saidByAtomic, saidByEach, type Said, type Sent } from './wire.js';

const CLIENTS = 8;
/** Most requests that one connection has under way. */
const PIPELINE = 4;
const RECONNECT_MS = 10;
const BATCHES = 0.2;
/** Writes that are sent twice under one Idempotency-Key. */
const KEYED = 0.3;
const MAX_PARTS = 4;
const OBJECTS = 4;
const KEYS_OF_OBJECT = 2;

/** Returns the keys of a history: those of an object share a tag, so that one batch can change them together. */
export function keysOf(seed: number): string[] {
  const tags = Array.from({ length: OBJECTS }, (_, i) => `{${seed}-${i}}`);
  return tags.flatMap((tag) => Array.from({ length: KEYS_OF_OBJECT }, (_, i) => `${tag}/${i}`));
}

/** The values of tags, as far as answers have shown them. */
class Tags {
  /** Tags that were shown with two values. */
  readonly conflicts: string[] = [];
  private readonly values = new Map<string, string>();

  learn(tag: string, value: string): void {
    const known = this.values.get(tag);
    if (known !== undefined && known !== value) this.conflicts.push(`${tag} is of ${known} and of ${value}`);
    this.values.set(tag, value);
  }

  valueOf(tag: string): string | undefined {
    return this.values.get(tag);
  }
}

interface RecordedPart extends Part {
  readonly named: string | undefined;
}

interface Recorded {
  readonly start: number;
  readonly end: number;
  readonly parts: readonly RecordedPart[];
}

/** Clients that send random requests and record the answers. */
export class Clients {
  readonly tags = new Tags();
  private readonly recorded: Recorded[] = [];
  /** The last value of each key that an answer has shown, with its tag. */
  private readonly seen = new Map<string, { tag: string; value: string }>();
  /** How many requests have been sent. */
  sent = 0;
  /** How many writes got their answers twice. */
  repeats = 0;
  private made = 0;

  constructor(
    private readonly random: Random,
    private readonly keys: readonly string[],
    private readonly length: number,
    /** Whether nothing is done any more when a connection has ended, because the server has. */
    private readonly endsWithConnection = false,
  ) {}

  /** Runs until all requests have been sent and answered, over the crashes of the server. */
  async run(port: () => number): Promise<void> {
    await Promise.all(Array.from({ length: CLIENTS }, () => this.client(port)));
  }

  get exchanges(): Exchange[] {
    return this.recorded.map(({ start, end, parts }) => {
      const [first, ...rest] = parts.map(({ named, ...part }): Part => {
        const value = named === undefined ? undefined : this.tags.valueOf(named);
        return value === undefined ? part : { ...part, answer: { kind: 'refused', value } };
      });
      return { ...first!, rest, start, end, until: this.endsWithConnection ? end : undefined };
    });
  }

  private async client(port: () => number): Promise<void> {
    while (this.sent < this.length) {
      const pipeline = await Pipeline.open(port()).catch(() => pause(RECONNECT_MS));
      if (!pipeline) continue;
      const underWay = new Set<Promise<void>>();
      while (pipeline.isOpen && this.sent < this.length) {
        const exchange: Promise<void> = this.ask(pipeline).finally(() => underWay.delete(exchange));
        underWay.add(exchange);
        // Some requests wait for all earlier answers, some are sent together, some while others are answered.
        if (this.random.chance(0.3)) await Promise.all(underWay);
        else if (this.random.chance(0.5)) await pause(this.random.below(3));
        while (underWay.size >= PIPELINE) await Promise.race(underWay);
      }
      await Promise.all(underWay);
      pipeline.close();
    }
  }

  private ask(pipeline: Pipeline): Promise<void> {
    this.sent++;
    const key = this.random.pick(this.keys);
    if (!this.random.chance(BATCHES)) return this.askOne(pipeline, this.randomRequest(key));
    const isAtomic = this.random.chance(0.7);
    const keys = this.keys.filter((other) => !isAtomic || objectOf(other) === objectOf(key));
    const count = 1 + this.random.below(MAX_PARTS);
    const parts = Array.from({ length: count }, () => this.randomRequest(this.random.pick(keys)));
    return isAtomic ? this.askAtomic(pipeline, parts) : this.askEach(pipeline, parts);
  }

  private askOne(pipeline: Pipeline, sent: Sent): Promise<void> {
    const read = (answer: RawAnswer | undefined) => [[this.record(sent, saidBy(sent, answer))]];
    if (sent.request.kind === 'get' || !this.random.chance(KEYED))
      return this.exchange(pipeline, bytesOf(sent), read);
    const bytes = bytesOf(sent, `${sent.key}-${this.sent}`);
    return this.exchange(pipeline, bytes, read, () => pipeline.send(bytes));
  }

  /** Asks for an atomic batch, whose parts happen at one instant. */
  private askAtomic(pipeline: Pipeline, parts: readonly Sent[]): Promise<void> {
    return this.exchange(pipeline, batchBytes(parts, true), (answer) => [
      saidByAtomic(parts, answer).map((said, i) => this.record(parts[i]!, said)),
    ]);
  }

  /** Asks for a batch whose parts happen each at an instant of its own. */
  private askEach(pipeline: Pipeline, parts: readonly Sent[]): Promise<void> {
    return this.exchange(pipeline, batchBytes(parts, false), (answer) =>
      saidByEach(parts, answer).map((said, i) => [this.record(parts[i]!, said)]),
    );
  }

  /** @param read returns what the answer says: lists of parts that happened together */
  private async exchange(
    pipeline: Pipeline,
    bytes: string,
    read: (answer: RawAnswer | undefined) => (RecordedPart | undefined)[][],
    repeat?: () => Promise<RawAnswer>,
  ): Promise<void> {
    const start = performance.now();
    const first = pipeline.send(bytes).catch(() => undefined);
    const second = repeat?.().catch(() => undefined);
    const answer = second ? this.answerOf(await first, await second) : await first;
    const end = performance.now();
    for (const together of read(answer)) {
      const parts = together.filter((part) => part !== undefined);
      if (parts.length > 0) this.recorded.push({ start, end, parts });
    }
  }

  /** Returns what a keyed write came to that was sent twice: it is one operation, with one answer. */
  private answerOf(first: RawAnswer | undefined, second: RawAnswer | undefined): RawAnswer | undefined {
    // Nothing was applied, so that only the second try counts.
    if (first?.status === 503) return second;
    if (!isDecided(second)) return first;
    if (!isDecided(first)) return second;
    this.repeats++;
    const said = [first, second].map(({ status, headers, body }) => `${status} ${headers['etag']} ${body}`);
    if (said[0] !== said[1]) this.tags.conflicts.push(`a keyed write got ${said[0]}, and again ${said[1]}`);
    return first;
  }

  private randomRequest(key: string): Sent {
    const value = String(APART * ++this.made);
    const seen = this.random.chance(0.8) ? this.seen.get(key) : undefined;
    const condition = seen && { ifMatch: seen.value };
    const tag = seen?.tag;
    const kind = this.random.below(24);
    if (kind < 9) return { key, request: { kind: 'get' }, tag: undefined };
    if (kind < 13) return { key, request: { kind: 'put', value }, tag: undefined };
    if (kind < 15) return { key, request: { kind: 'put', value, ifAbsent: true }, tag: undefined };
    if (kind < 17) return { key, request: { kind: 'put', value, ...condition }, tag };
    if (kind < 20) return { key, request: { kind: 'incr' }, tag: undefined };
    if (kind < 21) return { key, request: { kind: 'incr', ...condition }, tag };
    if (kind < 23) return { key, request: { kind: 'delete' }, tag: undefined };
    return { key, request: { kind: 'delete', ...condition }, tag };
  }

  private record({ key, request }: Sent, said: Said | undefined): RecordedPart | undefined {
    if (!said) return undefined;
    if (said.entry) this.see(key, said.entry);
    return { key, request, answer: said.answer, named: said.named };
  }

  private see(key: string, entry: { tag: string; value: string }): void {
    this.tags.learn(entry.tag, entry.value);
    if (Number(entry.value) >= APART) this.seen.set(key, entry);
  }
}

function isDecided(answer: RawAnswer | undefined): answer is RawAnswer {
  return answer !== undefined && answer.status < 500;
}
