import { createHash } from 'node:crypto';
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, setPath } from '../support/http.js';

const KEYS_PER_WRITER = 8;
const FILLER = 300;
const RECONNECT_MS = 10;

/**
 * Clients that write, and know what the store may hold after a crash.
 *
 * Only one writer writes each key. A value names its key and its write and has a checksum. A value that is neither of the
 * last acknowledged write nor of a later one without an answer is lost, torn or wrong.
 */
export class Writers {
  /** Key → its last acknowledged write. */
  private readonly acknowledged = new Map<string, number>();
  /** Key → its later writes without an answer. */
  private readonly pending = new Map<string, Set<number>>();
  private next = 0;
  answered = 0;
  /** The longest time to an acknowledgement, milliseconds. */
  longest = 0;

  constructor(private readonly count: number) {}

  /** Writes from all writers at once until the server ends. */
  async writeUntilGone(port: number): Promise<void> {
    await this.fromAll((writer, agent) => this.write(port, agent, writer, () => false));
  }

  /** Writes from all writers at once until `isOver`. Returns how often a connection was cut and opened again. */
  async writeOn(port: number, isOver: () => boolean): Promise<number> {
    let cuts = 0;
    await this.fromAll(async (writer, agent) => {
      for (;;) {
        await this.write(port, agent, writer, isOver);
        if (isOver()) return;
        cuts++;
        await pause(RECONNECT_MS);
      }
    });
    return cuts;
  }

  private async fromAll(write: (writer: number, agent: http.Agent) => Promise<void>): Promise<void> {
    const agents = Array.from(
      { length: this.count },
      () => new http.Agent({ keepAlive: true, maxSockets: 1 }),
    );
    await Promise.all(agents.map((agent, writer) => write(writer, agent)));
    for (const agent of agents) agent.destroy();
  }

  private async write(port: number, agent: http.Agent, writer: number, isOver: () => boolean): Promise<void> {
    for (let i = 0; !isOver(); i++) {
      const key = `writer/${writer}/${i % KEYS_PER_WRITER}`;
      const sequence = ++this.next;
      this.pendingOf(key).add(sequence);
      const begun = performance.now();
      try {
        const { status } = await ask(port, setPath(key, valueOf(key, sequence)), { agent });
        if (status !== 200 && status !== 201) throw new Error(`/set was answered ${status}`);
      } catch (error) {
        if (error instanceof Error && error.message.startsWith('/set')) throw error;
        return;
      }
      this.answered++;
      this.longest = Math.max(this.longest, performance.now() - begun);
      this.acknowledged.set(key, sequence);
      // The process with an earlier write has ended, or has answered.
      this.pendingOf(key).clear();
    }
  }

  /** Compares the store with what it may hold. From now on, what it shows counts as acknowledged. */
  check(shown: Readonly<Record<string, string>>): { lost: string[]; torn: string[]; wrong: string[] } {
    const found = { lost: [] as string[], torn: [] as string[], wrong: [] as string[] };
    for (const key of new Set([...Object.keys(shown), ...this.acknowledged.keys()])) {
      const sequence = sequenceOf(key, shown[key]);
      const last = this.acknowledged.get(key);
      if (sequence === 'torn') found.torn.push(key);
      else if (sequence !== last && !(sequence !== undefined && this.pendingOf(key).has(sequence))) {
        (sequence === undefined || (last !== undefined && sequence < last) ? found.lost : found.wrong).push(
          key,
        );
      }
      // The next crash must not undo what a reader has seen.
      if (typeof sequence === 'number') this.acknowledged.set(key, sequence);
    }
    // What is absent now was never stored, and must not appear later.
    this.pending.clear();
    return found;
  }

  private pendingOf(key: string): Set<number> {
    let pending = this.pending.get(key);
    if (!pending) this.pending.set(key, (pending = new Set()));
    return pending;
  }
}

/** Returns a value that cannot be confused with a part of itself or of another value. */
export function valueOf(key: string, sequence: number): string {
  const content = `${key} ${sequence} ${'x'.repeat((sequence * 7) % FILLER)}`;
  return `${content} ${checksum(content)}`;
}

function sequenceOf(key: string, value: string | undefined): number | 'torn' | undefined {
  if (value === undefined) return undefined;
  const sequence = Number(value.split(' ')[1]);
  return value === valueOf(key, sequence) ? sequence : 'torn';
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
