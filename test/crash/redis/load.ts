import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../../support/eventually.js';
import { ask, type Answer, type Question } from '../../support/http.js';
import { JSON_TYPE, MERGE_PATCH, pathOf } from '../../support/kv.js';
import { valueOf } from '../writers.js';

const KEYS_PER_WRITER = 4;
const COUNTERS = 16;
/** Between two requests of a writer, so that the load does not saturate the machine. */
const PAUSE_MS = 2;
const RETRY_MS = 50;

/** Words of Redis, of its client library and of code, which no answer may contain. */
const FOREIGN =
  /\b(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|LOADING|NOSCRIPT|EVALSHA|ERR|WAIT|E[A-Z]*CONN[A-Z]*)\b|socket|client|script|\.js:/i;

/** What the answers say about one key. */
interface Known {
  /** The number of the last acknowledged write. */
  acknowledged: number;
  /** Writes of unknown outcome, which may be applied at any time or never. */
  readonly unknown: Set<number>;
}

/** What the answers say about one counter. */
interface Counted {
  acknowledged: number;
  unknown: number;
}

/**
 * Writers over HTTP, and the answers that they got. They put and merge-patch values that name their write, and count.
 *
 * Each writer has keys of its own, all in one slot, so that the longest time without a success is known for each slot. After
 * a 2xx a write must be there, and after a 503 it must never be.
 */
export class Load {
  /** `PUT 200` → how often. */
  readonly answers = new Map<string, number>();
  /** Answers that break a rule, whatever happens to Redis. */
  readonly offences = new Set<string>();
  acknowledged = 0;
  slowestMs = 0;
  /** The longest time that a writer was without success. */
  windowMs = 0;
  private readonly known = new Map<string, Known>();
  private readonly counted = new Map<string, Counted>();
  private readonly succeeded: number[] = [];
  private sequence = 0;
  private stopped = false;
  private running: Promise<unknown> | undefined;
  private readonly agent: http.Agent;

  constructor(
    private readonly port: number,
    private readonly writers: number,
  ) {
    this.agent = new http.Agent({ keepAlive: true, maxSockets: writers });
  }

  start(): void {
    const writing = Array.from({ length: this.writers }, (_, writer) => this.write(writer));
    this.running = Promise.all(writing).catch((error: unknown) =>
      this.offences.add(`no answer: ${String(error)}`),
    );
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
    this.agent.destroy();
  }

  /** How long it takes from now until every writer has had a success, milliseconds. */
  async recovery(): Promise<number> {
    const now = performance.now();
    await eventually(() => this.succeeded.every((at) => at >= now), 'a success of every writer');
    return performance.now() - now;
  }

  /** Compares the answers with what is stored. */
  async check(): Promise<Findings> {
    const found = { lost: [] as string[], refused: [] as string[], counters: [] as string[], short: 0 };
    for (const [key, { acknowledged, unknown }] of this.known) {
      const { status, text } = await ask(this.port, pathOf(key));
      const sequence = status === 200 ? Number(text.split(' ')[1]) : 0;
      if (status === 200 && text !== bodyOf(key, sequence)) found.refused.push(`${key}: ${text}`);
      else if (sequence === acknowledged || unknown.has(sequence)) continue;
      else if (sequence < acknowledged) found.lost.push(key);
      else found.refused.push(key);
    }
    for (const [key, { acknowledged, unknown }] of this.counted) {
      const { status, text } = await ask(this.port, pathOf(key));
      const count = status === 200 ? Number(text) : 0;
      found.short += Math.max(0, acknowledged - count);
      if (count > acknowledged + unknown)
        found.counters.push(`${key}: ${count} > ${acknowledged} + ${unknown}`);
    }
    return found;
  }

  /** The figures for the line that a scenario prints. */
  figures(): string {
    const answers = [...this.answers]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([what, times]) => `${times} ${what}`);
    return (
      `${this.acknowledged} acknowledged (${answers.join(', ')}), ` +
      `error window ${Math.round(this.windowMs)} ms, slowest answer ${Math.round(this.slowestMs)} ms`
    );
  }

  private async write(writer: number): Promise<void> {
    this.succeeded[writer] = performance.now();
    for (let i = 0; !this.stopped; i++) {
      const answer =
        i % 4 === 3 ? await this.count(`{${(writer + i) % COUNTERS}}count`) : await this.change(writer, i);
      if (answer.status < 300) {
        if (i % 4 !== 3) this.succeed(writer);
        await pause(PAUSE_MS);
      } else await pause(RETRY_MS);
    }
  }

  private succeed(writer: number): void {
    const now = performance.now();
    this.windowMs = Math.max(this.windowMs, now - this.succeeded[writer]!);
    this.succeeded[writer] = now;
  }

  /** Writes a value: by a merge patch for one key in four, once that exists, else by a put. */
  private async change(writer: number, i: number): Promise<Answer> {
    const key = `{${writer}}/${i % KEYS_PER_WRITER}`;
    const sequence = ++this.sequence;
    const known = this.known.get(key) ?? { acknowledged: 0, unknown: new Set() };
    this.known.set(key, known);
    const edits = isEdited(key) && known.acknowledged > 0;
    const headers = edits ? MERGE_PATCH : isEdited(key) ? JSON_TYPE : {};
    const body = bodyOf(key, sequence);
    const answer = await this.ask(edits ? 'PATCH' : 'PUT', pathOf(key), { headers, body });
    if (answer.status < 300) {
      known.acknowledged = sequence;
      this.acknowledged++;
    } else if (answer.status !== 503) known.unknown.add(sequence);
    return answer;
  }

  private async count(key: string): Promise<Answer> {
    const counted = this.counted.get(key) ?? { acknowledged: 0, unknown: 0 };
    this.counted.set(key, counted);
    const answer = await this.ask('PATCH', `${pathOf(key)}?incr=1`);
    if (answer.status < 300) counted.acknowledged++;
    else if (answer.status !== 503) counted.unknown++;
    return answer;
  }

  private async ask(method: string, path: string, question: Question = {}): Promise<Answer> {
    const begun = performance.now();
    const answer = await ask(this.port, path, { ...question, method, agent: this.agent });
    this.slowestMs = Math.max(this.slowestMs, performance.now() - begun);
    const { status, text, headers } = answer;
    const what = `${method} ${status}`;
    this.answers.set(what, (this.answers.get(what) ?? 0) + 1);
    if (![200, 201, 503, 504].includes(status)) this.offences.add(`${what} ${text}`);
    if (status >= 300 && FOREIGN.test(text)) this.offences.add(`foreign words: ${text}`);
    if ((status === 503) !== (headers['retry-after'] !== undefined)) {
      this.offences.add(`${status} with Retry-After ${headers['retry-after']}`);
    }
    return answer;
  }
}

function isEdited(key: string): boolean {
  return key.endsWith('/2');
}

function bodyOf(key: string, sequence: number): string {
  const value = valueOf(key, sequence);
  return isEdited(key) ? JSON.stringify({ value }) : value;
}

export interface Findings {
  /** Keys whose last acknowledged write is gone. */
  readonly lost: readonly string[];
  /** Keys with a value that was refused, or never written. */
  readonly refused: readonly string[];
  /** Counters above the number of acknowledged and unknown increments. */
  readonly counters: readonly string[];
  /** Acknowledged increments that are gone. */
  readonly short: number;
}
