import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, type Question } from '../http.js';
import type { Random } from '../random.js';

const SIGN = 'NEIGHBOUR';
const PAUSE_MS = 2;

/** Somebody else in the same database, who writes what nobody in the namespace may ever see. */
export class Neighbour {
  /** What is in every key or value of the neighbour, as text, in base64 whatever comes before it, and as a namespace. */
  static readonly SIGNS = new RegExp(
    [SIGN, 'TkVJR0hCT1VS', '5FSUdIQk9VU', 'ORUlHSEJPVV', 'app1[/.0]NEIGH'].join('|'),
  );

  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  private readonly keys: readonly string[];
  private isStopped = false;
  private work = Promise.resolve();

  constructor(
    private readonly port: number,
    private readonly headers: Readonly<Record<string, string>>,
    namespace: string,
    private readonly random: Random,
  ) {
    const name = namespace.slice(0, -1);
    this.keys = [namespace, name, `${name}.`, `${name}0/`, `${name.slice(0, -1)}0/`, '', '\0', '\u{10ffff}'];
  }

  start(): void {
    this.work = this.writeOn();
  }

  /** @throws Error if a write has failed */
  async stop(): Promise<void> {
    this.isStopped = true;
    await this.work;
    this.agent.destroy();
  }

  private async writeOn(): Promise<void> {
    while (!this.isStopped) {
      const [path, question] = this.next();
      const answer = await ask(this.port, path, {
        ...question,
        headers: { ...this.headers, ...question.headers },
        agent: this.agent,
      });
      if (answer.status >= 400) throw new Error(`the neighbour got ${answer.status}: ${answer.text}`);
      await pause(this.random.below(PAUSE_MS * 2));
    }
  }

  /** Keys are around the namespace, and one of them is its text, which is no key inside. */
  private key(): string {
    const around = this.random.pick(this.keys);
    if (around === this.keys[0]) return around;
    return `${around}${this.random.pick([SIGN, `${SIGN}/a`, `a/${SIGN}`, `b${SIGN}`])}`;
  }

  private next(): [path: string, question: Question] {
    const { random } = this;
    const path = `/kv?key=${encodeURIComponent(this.key())}`;
    const body = SIGN.repeat(1 + random.below(20));
    switch (random.below(10)) {
      case 0:
        return [path, { method: 'DELETE' }];
      case 1:
        return [`${path}&ttl=${1 + random.below(50)}ms`, { method: 'PUT', body }];
      case 2: {
        const ops = Array.from({ length: 20 }, () => ({ op: 'put', key: this.key(), value: body }));
        const headers = { 'Content-Type': 'application/json' };
        return ['/batch', { method: 'POST', headers, body: JSON.stringify({ atomic: false, ops }) }];
      }
      case 3:
        return [`/kv?prefix=${encodeURIComponent(random.pick(['app10/', 'app0/']))}`, { method: 'DELETE' }];
      default:
        return [path, { method: 'PUT', body }];
    }
  }
}
