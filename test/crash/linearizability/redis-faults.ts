import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../support/random.js';
import type { RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import type { TcpProxy } from '../../support/tcp-proxy.js';

const MAX_QUIET_MS = 150;
const MAX_LATE_MS = 60;
const MAX_FAULT_MS = 250;
const CUT_WITHIN_BYTES = 2_000;
const MIN_PAUSED_MS = 200;
const MAX_PAUSED_MS = 2_000;
const SLOTS = 16_384;
const SLOTS_MOVED = 10;

/** What stands between the Pigeonhole servers and their data. */
export interface Surroundings {
  readonly nodes: readonly RedisServer[];
  readonly proxies: readonly TcpProxy[];
  readonly cluster?: RedisCluster;
}

/** Makes things fail while clients work, and counts how often. */
export class RedisFaults {
  readonly counts = new Map<string, number>();
  private readonly all: Record<string, () => Promise<void>> = {
    'lost answers': async () => this.proxy.loseAnswers(),
    'late requests whose answers are lost': () => this.loseLate(),
    delays: () => this.delay(),
    cuts: () => this.cut(),
    'clients killed': async () => void (await this.node.cli('CLIENT', 'KILL', 'TYPE', 'normal')),
    pauses: () => this.pauseServer(),
  };
  private moves = 0;

  constructor(
    private readonly random: Random,
    private readonly surroundings: Surroundings,
  ) {}

  /** Makes things fail, one after the other, until `isOver`. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await pause(this.random.below(MAX_QUIET_MS));
      const [name, fault] = this.random.pick(Object.entries(this.all));
      this.count(name);
      await fault();
    }
  }

  /** Gives the slots of a primary, or some of them, to another server, while nothing else fails. */
  async reshape(): Promise<void> {
    const { cluster, nodes } = this.surroundings;
    if (!cluster) return;
    const primary = await cluster.primaryOf((this.moves * 5_461) % SLOTS);
    if (this.moves++ % 2 === 0) {
      this.count('failovers');
      await cluster.failover((await cluster.replicasOf(primary))[0]!);
    } else {
      this.count('moves of slots');
      const next = await cluster.primaryOf((this.moves * 5_461) % SLOTS);
      await cluster.reshard(primary, next === primary ? nodes[0]! : next, SLOTS_MOVED);
    }
  }

  describe(): string {
    return [...this.counts].map(([name, count]) => `${count} ${name}`).join(', ');
  }

  private get proxy(): TcpProxy {
    return this.random.pick(this.surroundings.proxies);
  }

  private get node(): RedisServer {
    return this.random.pick(this.surroundings.nodes);
  }

  /** What a client gave up arrives after what it has sent since, on another connection. */
  private async loseLate(): Promise<void> {
    const { proxy } = this;
    proxy.delay(() => this.random.below(2) * MAX_LATE_MS);
    await pause(this.random.below(MAX_LATE_MS));
    proxy.loseAnswers();
    await pause(this.random.below(MAX_LATE_MS));
    proxy.restore();
  }

  private async delay(): Promise<void> {
    const { proxy } = this;
    proxy.delay(() => this.random.below(MAX_LATE_MS));
    await pause(this.random.below(MAX_FAULT_MS));
    proxy.restore();
  }

  private async cut(): Promise<void> {
    const { proxy } = this;
    proxy.cutAfter(this.random.below(CUT_WITHIN_BYTES), this.random.pick(['request', 'answer']));
    await pause(this.random.below(MAX_FAULT_MS));
    proxy.restore();
  }

  private async pauseServer(): Promise<void> {
    const { node } = this;
    node.pause();
    await pause(MIN_PAUSED_MS + this.random.below(MAX_PAUSED_MS - MIN_PAUSED_MS));
    node.resume();
  }

  private count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}
